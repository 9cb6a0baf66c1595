package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// maxText is the longest message for a person that crosses.
const maxText = 1 << 10

// text makes s fit for a string of the wire, which refuses what is no UTF-8.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// cut is text of at most maxText bytes.
func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText-len("...")] + "..."
	}
	return strings.ToValidUTF8(s, "")
}

func memberToProto(m *sdk.Member) (*pluginv1.Member, error) {
	p := &pluginv1.Member{
		Op:             opToProto(m.Delete, m.Update),
		ExternalId:     text(m.ID),
		Version:        []byte(m.Version),
		DisplayName:    text(m.DisplayName),
		Identities:     identitiesToProto(m.Identities),
		WeakIdentities: identitiesToProto(m.WeakIdentities),
		JoinedAt:       timeToProto(m.JoinedAt),
		Bio:            text(m.Bio),
		Location:       text(m.Location),
	}
	for _, name := range m.Clear {
		p.Clear = append(p.Clear, text(name))
	}
	for _, email := range m.Emails {
		p.Emails = append(p.Emails, text(email))
	}
	for platform, n := range m.Reach {
		if p.Reach == nil {
			p.Reach = make(map[string]int64, len(m.Reach))
		}
		p.Reach[text(platform)] = n
	}
	for name, byPlatform := range m.Attributes {
		if p.Attributes == nil {
			p.Attributes = make(map[string][]byte, len(m.Attributes))
		}
		raw, err := sdk.Marshal(byPlatform)
		if err != nil {
			return nil, fmt.Errorf("member %s%s: attribute %s: %w", m.ID, m.DisplayName, name, err)
		}
		p.Attributes[text(name)] = raw
	}
	for _, o := range m.Organizations {
		p.Organizations = append(p.Organizations, &pluginv1.Organization{Name: text(o.Name), Title: text(o.Title), Website: text(o.Website)})
	}
	return p, nil
}

func memberFromProto(p *pluginv1.Member) (*sdk.Member, error) {
	m := &sdk.Member{
		ID:             p.GetExternalId(),
		Version:        string(p.GetVersion()),
		Delete:         p.GetOp() == pluginv1.Op_OP_DELETE,
		Update:         p.GetOp() == pluginv1.Op_OP_UPDATE,
		Clear:          p.GetClear(),
		DisplayName:    p.GetDisplayName(),
		Emails:         p.GetEmails(),
		Identities:     identitiesFromProto(p.GetIdentities()),
		WeakIdentities: identitiesFromProto(p.GetWeakIdentities()),
		JoinedAt:       timeFromProto(p.GetJoinedAt()),
		Bio:            p.GetBio(),
		Location:       p.GetLocation(),
	}
	if len(p.GetReach()) > 0 {
		m.Reach = p.GetReach()
	}
	for name, raw := range p.GetAttributes() {
		if m.Attributes == nil {
			m.Attributes = make(map[string]map[string]any, len(p.GetAttributes()))
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber() // a number keeps the digits it was given
		var byPlatform map[string]any
		if err := dec.Decode(&byPlatform); err != nil {
			return nil, &sdk.Error{Class: sdk.ClassSystem, Code: "record_invalid", Message: fmt.Sprintf("member %s: attribute %s is no JSON object", m.ID, name)}
		}
		m.Attributes[name] = byPlatform
	}
	for _, o := range p.GetOrganizations() {
		m.Organizations = append(m.Organizations, sdk.Organization{Name: o.GetName(), Title: o.GetTitle(), Website: o.GetWebsite()})
	}
	return m, nil
}

func identitiesToProto(identities []sdk.Identity) []*pluginv1.Identity {
	var p []*pluginv1.Identity
	for _, i := range identities {
		p = append(p, &pluginv1.Identity{Platform: text(i.Platform), Username: text(i.Username), SourceId: text(i.SourceID)})
	}
	return p
}

func identitiesFromProto(p []*pluginv1.Identity) []sdk.Identity {
	var identities []sdk.Identity
	for _, i := range p {
		identities = append(identities, sdk.Identity{Platform: i.GetPlatform(), Username: i.GetUsername(), SourceID: i.GetSourceId()})
	}
	return identities
}

func activityToProto(a *sdk.Activity) (*pluginv1.Activity, error) {
	p := &pluginv1.Activity{
		Op:               opToProto(a.Delete, false),
		ExternalId:       text(a.ID),
		ParentExternalId: text(a.ParentID),
		Version:          []byte(a.Version),
		Type:             text(a.Type),
		Platform:         text(a.Platform),
		Timestamp:        timeToProto(a.Timestamp),
		Score:            a.Score,
		IsContribution:   a.IsContribution,
		Channel:          text(a.Channel),
		Title:            text(a.Title),
		Body:             text(a.Body),
		Url:              text(a.URL),
		Username:         text(a.Username),
		ObjectUsername:   text(a.ObjectUsername),
	}
	for name, raw := range a.Attributes {
		if p.Attributes == nil {
			p.Attributes = make(map[string][]byte, len(a.Attributes))
		}
		if raw == nil {
			raw = json.RawMessage("null")
		}
		p.Attributes[text(name)] = raw
	}
	var err error
	if a.Member != nil {
		if p.Member, err = memberToProto(a.Member); err != nil {
			return nil, err
		}
	}
	if a.ObjectMember != nil {
		if p.ObjectMember, err = memberToProto(a.ObjectMember); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func activityFromProto(p *pluginv1.Activity) (sdk.Activity, error) {
	a := sdk.Activity{
		ID:             p.GetExternalId(),
		ParentID:       p.GetParentExternalId(),
		Version:        string(p.GetVersion()),
		Delete:         p.GetOp() == pluginv1.Op_OP_DELETE,
		Type:           p.GetType(),
		Platform:       p.GetPlatform(),
		Timestamp:      timeFromProto(p.GetTimestamp()),
		Score:          p.GetScore(),
		IsContribution: p.GetIsContribution(),
		Channel:        p.GetChannel(),
		Title:          p.GetTitle(),
		Body:           p.GetBody(),
		URL:            p.GetUrl(),
		Username:       p.GetUsername(),
		ObjectUsername: p.GetObjectUsername(),
	}
	for name, raw := range p.GetAttributes() {
		if a.Attributes == nil {
			a.Attributes = make(map[string]json.RawMessage, len(p.GetAttributes()))
		}
		a.Attributes[name] = raw
	}
	var err error
	if p.GetMember() != nil {
		if a.Member, err = memberFromProto(p.GetMember()); err != nil {
			return sdk.Activity{}, err
		}
	}
	if p.GetObjectMember() != nil {
		if a.ObjectMember, err = memberFromProto(p.GetObjectMember()); err != nil {
			return sdk.Activity{}, err
		}
	}
	return a, nil
}
