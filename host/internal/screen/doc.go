// Package screen shows calls to agents: a page that is embedded in the CRM's, or in
// the softphone's, and follows the call while it goes on.
//
// A page is opened by a ticket that serves once, for a minute, and is bound to tenant,
// integration, call, agent and the origin that embeds it (K25). The ticket is exchanged
// for a cookie and an address without a secret. What a remote system said is shown as
// text by typed components and is never markup; the page runs one script of its own
// under a policy that allows no other.
//
// Tickets and sessions are kept in memory alone: after a restart of the host a screen is
// asked for anew.
package screen
