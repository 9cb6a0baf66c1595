// Package callbox takes what happens in calls and runs the hooks of it: the events of
// one call in their order, those of different calls at once. An event is stored before
// it is answered. What may have been written to a remote system and was not answered is
// never written again blindly.
package callbox
