// Package version holds the one version of all that monmod consists of.
package version

// Number is shown by every program, and stands in reports and in what engines are told.
const Number = "0.1.0"
