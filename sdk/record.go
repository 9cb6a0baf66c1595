package sdk

import (
	"encoding/json"
	"time"
)

// Kinds of the typed records. A generic Record may not use them.
const (
	KindMember   = "member"
	KindActivity = "activity"
)

// Record is an entity to be kept. It is known by (integration, Kind, ID): the
// same record sent twice is stored once, and costs no write when nothing changed.
type Record struct {
	Kind   string
	ID     string // the remote system's id
	Parent Ref    // may arrive before or after its child
	// Version orders the states of one record: bytes that sort, such as the
	// remote updated_at. An older version never overwrites a newer one.
	Version    string
	OccurredAt time.Time // zero if the record has no time of its own
	Delete     bool      // the record is gone at the remote system; Data is empty
	// Update changes some fields alone: those that stand in Data, of which null
	// removes one. It is kept beside what upserts say of the record, which it goes
	// before unless an upsert has a later Version; it may come before the record.
	Update bool
	Data   []byte // JSON object; see Canonical
}

// Ref names another record of the same integration.
type Ref struct {
	Kind string
	ID   string
}

// Member is a person in the remote system.
type Member struct {
	ID      string `json:"-"` // unique in the integration; Identities[0] if empty
	Version string `json:"-"`
	Delete  bool   `json:"-"`
	// Update changes what is set alone, and Reach and Attributes by platform: see
	// Record. It needs the ID. Clear names the fields, as in the JSON, to remove.
	Update         bool                      `json:"-"`
	Clear          []string                  `json:"-"`
	DisplayName    string                    `json:"display_name,omitempty"`
	Emails         []string                  `json:"emails,omitempty"`
	Identities     []Identity                `json:"identities,omitempty"`
	WeakIdentities []Identity                `json:"weak_identities,omitempty"`
	Attributes     map[string]map[string]any `json:"attributes,omitempty"` // name, then platform
	Reach          map[string]int64          `json:"reach,omitempty"`      // by platform
	Organizations  []Organization            `json:"organizations,omitempty"`
	JoinedAt       time.Time                 `json:"joined_at,omitzero"`
	Bio            string                    `json:"bio,omitempty"`
	Location       string                    `json:"location,omitempty"`
}

// Identity is an account of a member on a platform.
type Identity struct {
	Platform string `json:"platform"`
	Username string `json:"username"`
	SourceID string `json:"source_id,omitempty"`
}

// Organization is where a member works.
type Organization struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"`
	Website string `json:"website,omitempty"`
}

// Activity is something that a member did.
type Activity struct {
	ID             string                     `json:"-"` // source id, unique in the integration
	ParentID       string                     `json:"-"` // source id of the parent activity
	Version        string                     `json:"-"`
	Delete         bool                       `json:"-"`
	Type           string                     `json:"type"`
	Platform       string                     `json:"platform"`
	Timestamp      time.Time                  `json:"timestamp"`
	Score          int64                      `json:"score"`
	IsContribution bool                       `json:"is_contribution,omitempty"`
	Channel        string                     `json:"channel,omitempty"`
	Title          string                     `json:"title,omitempty"`
	Body           string                     `json:"body,omitempty"`
	URL            string                     `json:"url,omitempty"`
	Attributes     map[string]json.RawMessage `json:"attributes,omitempty"`

	// Exactly one of Username and Member names who did it; the same holds for
	// the two of the person it was done to, which may both be empty. A Member is
	// upserted with the activity.
	Username       string  `json:"username,omitempty"`
	Member         *Member `json:"-"`
	ObjectUsername string  `json:"object_username,omitempty"`
	ObjectMember   *Member `json:"-"`
}

// Warning is a record or a fact that was skipped; the run counts it.
type Warning struct {
	RecordID string
	Message  string
}
