// Command jackfield is the daemon that loads integrations as plugins, and the
// command line that talks to it. This package alone knows every part: what lies
// under internal is joined here.
package main
