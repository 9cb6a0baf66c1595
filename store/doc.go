// Package store holds the domain: tenants, integrations, lanes, runs, streams
// and records, their states, and the errors of keeping them. It uses the
// standard library alone. A driver (store/sqlite) keeps them; store/storetest is
// the suite that every driver passes.
//
// Five statements coordinate all work: claim, renew, apply, release, nudge. A
// host claims a lane, which is an integration's share of one class of work,
// works its due streams, and applies what they return under the lane's fence: a
// host that lost the lane writes nothing.
package store
