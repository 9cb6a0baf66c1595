package sdk

import (
	"encoding/json"
	"fmt"
	"time"
)

// Record returns the member as it is kept: of KindMember, known by its ID or
// else by "platform:username" of its first identity, its fields as canonical
// JSON.
func (m Member) Record() (Record, error) {
	id, err := m.id()
	if err != nil {
		return Record{}, err
	}
	r := Record{Kind: KindMember, ID: id, Version: m.Version, Delete: m.Delete, Update: m.Update}
	if m.Delete {
		return r, nil
	}
	if !m.JoinedAt.IsZero() {
		m.JoinedAt = m.JoinedAt.UTC()
	}
	if r.Data, err = Marshal(m); err == nil && len(m.Clear) > 0 {
		r.Data, err = cleared(r.Data, m.Clear)
	}
	if err != nil {
		return Record{}, fmt.Errorf("member %s: %w", id, err)
	}
	return r, nil
}

// cleared returns the JSON object data with null for these fields.
func cleared(data []byte, names []string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, set := fields[name]; set {
			return nil, invalid("field %s is both set and cleared", name)
		}
		fields[name] = json.RawMessage("null")
	}
	return Marshal(fields)
}

func (m *Member) id() (string, error) {
	id := m.ID
	switch {
	case m.Update && m.Delete:
		return "", invalid("member %.64q is both updated and deleted", id)
	case m.Update && id == "":
		return "", invalid("the update of member %.64q has no id", m.DisplayName)
	case len(m.Clear) > 0 && !m.Update:
		return "", invalid("member %.64q has fields to clear and is no update", id)
	}
	if id == "" {
		if len(m.Identities) == 0 || m.Identities[0].Platform == "" || m.Identities[0].Username == "" {
			return "", invalid("member %.64q has neither an id nor a first identity with platform and username", m.DisplayName)
		}
		id = m.Identities[0].Platform + ":" + m.Identities[0].Username
	}
	return id, checkName("a member's id", id, MaxID)
}

// Records returns the activity as it is kept: the members that it names, then
// the activity itself, of KindActivity. Its data names those members by
// "member_id" and "object_member_id".
func (a Activity) Records() ([]Record, error) {
	if err := a.valid(); err != nil {
		return nil, err
	}
	r := Record{Kind: KindActivity, ID: a.ID, Version: a.Version, Delete: a.Delete}
	if a.ParentID != "" {
		r.Parent = Ref{Kind: KindActivity, ID: a.ParentID}
	}
	if a.Delete {
		return []Record{r}, nil
	}
	records := make([]Record, 0, 3)
	data := activityData{Activity: a}
	for _, m := range []struct {
		member *Member
		id     *string
	}{{a.Member, &data.MemberID}, {a.ObjectMember, &data.ObjectMemberID}} {
		if m.member == nil {
			continue
		}
		member, err := m.member.Record()
		if err != nil {
			return nil, fmt.Errorf("activity %s: %w", a.ID, err)
		}
		*m.id = member.ID
		records = append(records, member)
	}
	data.Timestamp = a.Timestamp.UTC()
	r.OccurredAt = data.Timestamp
	var err error
	if r.Data, err = Marshal(data); err != nil {
		return nil, fmt.Errorf("activity %s: %w", a.ID, err)
	}
	return append(records, r), nil
}

type activityData struct {
	Activity
	MemberID       string `json:"member_id,omitempty"`
	ObjectMemberID string `json:"object_member_id,omitempty"`
}

func (a *Activity) valid() error {
	if err := checkName("an activity's id", a.ID, MaxID); err != nil {
		return err
	}
	if a.ParentID != "" {
		if err := checkName("the parent of activity "+a.ID, a.ParentID, MaxID); err != nil {
			return err
		}
	}
	switch {
	case a.Delete:
		return nil
	case a.Type == "":
		return invalid("activity %s has no type", a.ID)
	case a.Timestamp.IsZero() || a.Timestamp.Year() > 9999 || a.Timestamp.Before(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)):
		return invalid("activity %s has no timestamp that can be kept: %s", a.ID, a.Timestamp)
	case a.Username == "" && a.Member == nil:
		return invalid("activity %s names nobody: one of Username and Member is needed", a.ID)
	case a.Username != "" && a.Member != nil:
		return invalid("activity %s has both Username and Member: one is allowed", a.ID)
	case a.ObjectUsername != "" && a.ObjectMember != nil:
		return invalid("activity %s has both ObjectUsername and ObjectMember: one is allowed", a.ID)
	case a.Platform == "" && (a.Username != "" || a.ObjectUsername != ""):
		return invalid("activity %s names a person by username without a platform", a.ID)
	default:
		return nil
	}
}
