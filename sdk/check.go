package sdk

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Caps of names on a record.
const (
	MaxKind = 64
	MaxID   = 512 // as long as the host takes
)

func invalid(format string, args ...any) *Error {
	return &Error{Class: ClassSystem, Code: "record_invalid", Message: fmt.Sprintf(format, args...)}
}

func checkName(what, name string, longest int) error {
	switch {
	case name == "":
		return invalid("%s is empty", what)
	case len(name) > longest:
		return invalid("%s %.32q... has %d bytes, %d are allowed", what, name, len(name), longest)
	case !utf8.ValidString(name):
		return invalid("%s %.32q is not UTF-8", what, name)
	default:
		return nil
	}
}

// checkValue refuses what is kept by key and has no name or is no JSON.
func checkValue(what, key string, raw []byte) error {
	if err := checkName("the key of a "+what, key, MaxKind); err != nil {
		return err
	}
	if !json.Valid(raw) {
		return invalid("%s %s is not JSON", what, key)
	}
	return nil
}

// prepare checks r and puts its data into canonical form.
func (r *Record) prepare() error {
	if err := checkName("a record's kind", r.Kind, MaxKind); err != nil {
		return err
	}
	if err := checkName("the id of a record of kind "+r.Kind, r.ID, MaxID); err != nil {
		return err
	}
	if r.Kind == KindMember || r.Kind == KindActivity {
		return invalid("record %s: kind %s has a type of its own (hint: emit a Member or an Activity)", r.ID, r.Kind)
	}
	if r.Delete && r.Update {
		return invalid("record %s %s is both updated and deleted", r.Kind, r.ID)
	}
	if r.Delete {
		r.Data = nil
		return nil
	}
	if r.size() > MaxRecord {
		return tooLarge(r.Kind, r.ID, r.Data)
	}
	data, err := Canonical(r.Data)
	if err != nil {
		return invalid("record %s %s: data: %v", r.Kind, r.ID, err)
	}
	if data[0] != '{' {
		return invalid("record %s %s: data is not a JSON object", r.Kind, r.ID)
	}
	r.Data = data
	return nil
}

func (r *Record) size() int { return len(r.Data) + len(r.ID) + len(r.Kind) + len(r.Version) + 32 }

// check reports what is wrong with m, and about how large it is.
func (m *Member) check() (int, error) {
	id, err := m.id()
	if err != nil {
		return 0, err
	}
	size := 64 + len(id) + len(m.DisplayName) + len(m.Bio) + len(m.Location) + 32*len(m.Reach)
	for _, email := range m.Emails {
		size += len(email) + 8
	}
	for _, i := range m.Identities {
		size += len(i.Platform) + len(i.Username) + len(i.SourceID) + 16
	}
	for _, i := range m.WeakIdentities {
		size += len(i.Platform) + len(i.Username) + len(i.SourceID) + 16
	}
	for _, o := range m.Organizations {
		size += len(o.Name) + len(o.Title) + len(o.Website) + 16
	}
	for name, byPlatform := range m.Attributes {
		for platform, value := range byPlatform {
			size += len(name) + len(platform) + valueSize(value)
		}
	}
	if size > MaxRecord {
		return size, tooLargeAs(KindMember, id, m)
	}
	return size, nil
}

// valueSize guesses how many bytes v has as JSON.
func valueSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 8
	case []byte:
		return 2 * len(v)
	case json.RawMessage:
		return len(v)
	case nil, bool, int, int32, int64, float64:
		return 16
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return 16 // Record says what is wrong with it
		}
		return len(raw)
	}
}

// check reports what is wrong with a, and about how large it is.
func (a *Activity) check() (int, error) {
	if err := a.valid(); err != nil {
		return 0, err
	}
	size := 128 + len(a.ID) + len(a.Title) + len(a.Body) + len(a.URL) + len(a.Channel)
	for name, raw := range a.Attributes {
		size += len(name) + len(raw) + 8
	}
	for _, m := range []*Member{a.Member, a.ObjectMember} {
		if m == nil || a.Delete {
			continue
		}
		n, err := m.check()
		if err != nil {
			return 0, err
		}
		size += n
	}
	if size > MaxRecord {
		return size, tooLargeAs(KindActivity, a.ID, a)
	}
	return size, nil
}

func (s *Stream) check() error {
	if err := checkName("a stream's id", s.ID, MaxID); err != nil {
		return err
	}
	if err := checkName("the connector of stream "+s.ID, s.Connector, MaxKind); err != nil {
		return err
	}
	if len(s.Data) > MaxStreamData {
		return &Error{Class: ClassSystem, Code: "stream_data_too_large", Message: fmt.Sprintf("stream %s has %d bytes of data, %d are allowed", s.ID, len(s.Data), MaxStreamData)}
	}
	return nil
}
