package store

import "time"

// Account is a name on a platform that belongs to one person: sources that share
// one are one member (K06).
type Account struct {
	Platform string
	Username string
}

// Claim says that a source has an account. Claims of one account with different
// splits are not the same: a person has taken them apart.
type Claim struct {
	Source int64
	Account
	Split int64 // id of the merge that was undone; 0 for none
}

// MemberCursor is how far the members of a tenant are made of its feed. Whoever
// makes them compares and swaps it, so that it does not matter which host does.
type MemberCursor struct {
	TenantID int64
	Tenant   string
	Position int64 // of the feed; negative while they are made anew
	Version  int64 // raised by each change of the tenant's members
}

// MemberSource is the record of a member in one integration.
type MemberSource struct {
	Source        int64 // Born of the record, which stays as long as the record
	Member        int64 // the smallest source of the member; 0: it is none any more
	IntegrationID int64
	ExternalID    string
}

// MemberChange is a source to look at again.
type MemberChange struct {
	MemberSource
	Gone   bool
	Marked bool   // by something else than the feed
	Data   []byte // of the record, with its overlay
}

// MemberMerge says that members became one.
type MemberMerge struct {
	ID       int64
	TenantID int64
	Member   int64 // that stays
	Merged   int64 // that is a part of it now
	Sources  []int64
	Account  // that both have
	At       time.Time
	UndoneAt time.Time // zero if it stands
}

// MemberStep is one step in the making of a tenant's members: what changes, in one
// transaction. It is store.ErrConflict if somebody else made one since From.
type MemberStep struct {
	From    MemberCursor
	Through int64
	Sources []MemberSource
	Redone  []int64 // sources that were marked, and are looked at by this step
	Added   []Claim
	Removed []Claim
	Members map[int64]int // number of sources; 0 removes the member
	Merges  []MemberMerge
}

// Member is a person in a tenant, across its integrations.
type Member struct {
	ID      int64
	Sources []StoredRecord // by Born
}

// MemberFilter selects members of a tenant by id. Zero fields select all.
type MemberFilter struct {
	Tenant  string
	ID      int64
	Account Account
	After   int64
	Limit   int // 100 if zero
}

// MaxClaimants is how many sources may share an account and be one person. One that
// more have is nobody's name: it makes none of them one.
const MaxClaimants = 100
