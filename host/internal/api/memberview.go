package api

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

// said is what a source says of a member. Attributes stay as they are written.
type said struct {
	DisplayName    string                                `json:"display_name"`
	Emails         []string                              `json:"emails"`
	Identities     []saidIdentity                        `json:"identities"`
	WeakIdentities []saidIdentity                        `json:"weak_identities"`
	Attributes     map[string]map[string]json.RawMessage `json:"attributes"`
	Reach          map[string]int64                      `json:"reach"`
	Organizations  []saidOrganization                    `json:"organizations"`
	JoinedAt       time.Time                             `json:"joined_at"`
	Bio            string                                `json:"bio"`
	Location       string                                `json:"location"`
}

type saidIdentity struct {
	Platform string `json:"platform"`
	Username string `json:"username"`
	SourceID string `json:"source_id"`
}

type saidOrganization struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Website string `json:"website"`
}

// member returns a member as its sources say together. It is the same for the same
// sources: of what several say the oldest goes first, and the earliest joining
// counts.
func member(tenant string, m store.Member) *hostv1.Member {
	var all said
	out := &hostv1.Member{Id: idText(m.ID), Tenant: tenant}
	for _, r := range m.Sources {
		var one said
		if json.Unmarshal(r.Data, &one) == nil { // else the source says it itself
			all.add(one)
		}
		out.Sources = append(out.Sources, &hostv1.MemberSource{
			Id: idText(r.Born), Integration: r.Tenant + "/" + r.Integration, ExternalId: r.ExternalID, Data: r.Data,
		})
	}
	out.DisplayName, out.Bio, out.Location = all.DisplayName, all.Bio, all.Location
	out.Emails, out.Reach, out.JoinedAt = all.Emails, all.Reach, timestamp(all.JoinedAt)
	out.Identities, out.WeakIdentities = convert(all.Identities, saidIdentity.proto), convert(all.WeakIdentities, saidIdentity.proto)
	out.Organizations = convert(all.Organizations, func(o saidOrganization) *hostv1.MemberOrganization {
		return &hostv1.MemberOrganization{Name: o.Name, Title: o.Title, Website: o.Website}
	})
	for _, name := range slices.Sorted(maps.Keys(all.Attributes)) {
		for _, platform := range slices.Sorted(maps.Keys(all.Attributes[name])) {
			out.Attributes = append(out.Attributes, &hostv1.MemberAttribute{Name: name, Platform: platform, Value: all.Attributes[name][platform]})
		}
	}
	return out
}

func (i saidIdentity) proto() *hostv1.MemberIdentity {
	return &hostv1.MemberIdentity{Platform: i.Platform, Username: i.Username, SourceId: i.SourceID}
}

// add takes in what a later source says.
func (s *said) add(o said) {
	for _, f := range []struct {
		to   *string
		from string
	}{{&s.DisplayName, o.DisplayName}, {&s.Bio, o.Bio}, {&s.Location, o.Location}} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	s.Emails = union(s.Emails, o.Emails)
	s.Identities = union(s.Identities, o.Identities)
	s.WeakIdentities = union(s.WeakIdentities, o.WeakIdentities)
	s.Organizations = union(s.Organizations, o.Organizations)
	if s.JoinedAt.IsZero() || !o.JoinedAt.IsZero() && o.JoinedAt.Before(s.JoinedAt) {
		s.JoinedAt = o.JoinedAt
	}
	for platform, n := range o.Reach {
		if _, known := s.Reach[platform]; !known {
			s.Reach = with(s.Reach, platform, n)
		}
	}
	for name, byPlatform := range o.Attributes {
		for platform, value := range byPlatform {
			if _, known := s.Attributes[name][platform]; !known {
				s.Attributes = with(s.Attributes, name, with(s.Attributes[name], platform, value))
			}
		}
	}
}

// union returns a with what b has besides.
func union[T comparable](a, b []T) []T {
	for _, v := range b {
		if !slices.Contains(a, v) {
			a = append(a, v)
		}
	}
	return a
}

func with[V any](m map[string]V, key string, v V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = v
	return m
}
