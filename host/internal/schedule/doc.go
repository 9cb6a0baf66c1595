// Package schedule says when an integration is checked next: every so many ticks
// of a minute, or by a cron rule in a time zone. It keeps nothing and waits for
// nothing; what it answers is persisted with the integration.
package schedule
