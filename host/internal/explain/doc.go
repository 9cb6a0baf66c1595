// Package explain tells for each code that Jackfield answers with what it means and
// what to do about it. A test finds every code in the program that is not explained.
package explain
