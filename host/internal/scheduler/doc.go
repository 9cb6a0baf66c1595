// Package scheduler decides which lanes this host works on, and when.
//
// There is no leader, no sweeper and no timer per integration: a lane's wake time
// in the store is the schedule, the delay, the retry and the rate limit at once.
// The scheduler claims lanes that are due, hands each to a worker, renews all
// leases in one statement, and gives a lane back when its worker is done.
package scheduler
