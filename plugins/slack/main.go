// Command slack is the Jackfield plugin that imports a Slack workspace: its
// members, the messages of its channels and the replies of their threads.
package main

import "github.com/jackfield/jackfield/sdk/plugin"

func main() { plugin.Serve(New()) }
