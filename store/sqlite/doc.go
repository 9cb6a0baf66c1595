// Package sqlite keeps a store in one SQLite file. It owns the data directory:
// the lock, the file, its schema and everything that is written to it.
//
// All writes pass one goroutine with one connection. It takes what waits, a state
// change or a segment of a stream, and commits it together in one transaction
// (group commit) with synchronous=FULL; an answer is given only after that. Reads
// have connections of their own that cannot write.
package sqlite
