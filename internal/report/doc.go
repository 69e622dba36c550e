// Package report turns a divergence into something that people (text) and programs (JSON) can read.
//
// Here live: the Report and its JSON form, the decoding of records into calls, the comparison that marks the first differing
// argument, the naming of code addresses, the text form, and the files on disk.
//
// Not here: who makes a report and when (the supervisor), what the calls are (the Decoder is given by the caller), and
// nothing that ends, signals or changes a process. Everything that is decoded here was written by a program that may be
// under attack: each length is checked before it is used, and no byte of it reaches a terminal unescaped.
package report
