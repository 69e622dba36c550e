// Package conformance shows that a program cannot tell, by what its system calls return, that it is monitored: the
// same small programs (c/*.c) run natively and as variants, and must print the same and end the same.
//
// The programs print only what every native run prints alike. Which calls a case makes is written beside the case; the
// coverage test holds these lists against the system-call table and against what strace sees. What the monitor does
// inside a call is not tested here, and neither are whole applications.
package conformance
