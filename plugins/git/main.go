// Command git is a Jackfield plugin that imports the commits of local clones:
// who wrote what, when, with whom, and how many lines. It reads repositories by
// itself and needs no git on the machine.
package main

import "github.com/jackfield/jackfield/sdk/plugin"

func main() { plugin.Serve(Git{}) }
