// Package chain runs what a template declares for an event of a call: its endpoints
// from top to bottom, each answer kept in the call's context under the name of its
// step, with conditions and lists; and then what the hook answers: who the other
// party may be, the screen, what was made, what the remote system does not accept.
//
// The package keeps nothing but the contacts that were found some seconds ago. Who
// calls it stores the event, the context and how far a chain has come, and decides
// what to do about an error, which says whether a write may have arrived.
package chain
