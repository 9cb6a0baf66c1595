// Package endpoint owns the calls that templates declare: it checks a template and
// compiles its expressions, makes the request of an endpoint from what an
// integration, a call and a client give, sends it with the authorization that it
// needs, and makes the answer into typed shapes.
//
// Values are never pasted: each is escaped for the place where it goes, and what a
// secret went into is known, so that a request can be shown without it. Nothing is
// sent while a value that is required is missing. The package opens no connection
// by itself: it is given a transport.
package endpoint
