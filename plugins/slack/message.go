package main

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// The activities and their scores.
const (
	typeJoined  = "channel_joined"
	typeMessage = "message"

	scoreJoined  = 3
	scoreMessage = 6
)

// activity makes an activity of m; nil if m is not one, such as a changed topic.
func (r *reader) activity(ctx context.Context, m *slack.Message) (*sdk.Activity, error) {
	at, ok := parseTS(m.Timestamp)
	if !ok {
		return nil, r.out.Warn(ctx, r.ref.Channel, "a message without a valid timestamp was skipped")
	}
	joined := m.SubType == slack.MsgSubTypeChannelJoin || m.SubType == slack.MsgSubTypeGroupJoin
	if !joined && !isMessage(m.SubType) {
		return nil, nil
	}
	by, err := r.author(ctx, m)
	if err != nil {
		return nil, err
	}
	if by == (author{}) {
		return nil, r.out.Warn(ctx, r.messageID(m.Timestamp), "a message without an author was skipped")
	}
	a := &sdk.Activity{
		ID:        r.messageID(m.Timestamp),
		Version:   m.Timestamp,
		Type:      typeMessage,
		Platform:  platform,
		Timestamp: at,
		Score:     scoreMessage,
		Channel:   r.ref.Name,
		URL:       r.messageURL(m),
		Member:    by.member,
		Username:  by.name,
	}
	if joined {
		a.Type, a.Score = typeJoined, scoreJoined
		if r.ref.General {
			a.Attributes = map[string]json.RawMessage{"general": json.RawMessage("true")}
		}
		return a, nil
	}
	a.IsContribution = true
	a.Body = messageBody(m)
	if m.Edited != nil {
		a.Version = cmp.Or(m.Edited.Timestamp, m.Timestamp)
	}
	if isReply(m) {
		a.ParentID = r.messageID(m.ThreadTimestamp)
	}
	a.Attributes, err = messageAttributes(m)
	return a, err
}

// isMessage reports whether a subtype is something that somebody wrote. The
// others tell of the channel itself: topics, names, people who leave.
func isMessage(subtype string) bool {
	switch subtype {
	case "", slack.MsgSubTypeMeMessage, slack.MsgSubTypeBotMessage, slack.MsgSubTypeThreadBroadcast, slack.MsgSubTypeFileShare:
		return true
	}
	return false
}

func isReply(m *slack.Message) bool {
	return m.ThreadTimestamp != "" && m.ThreadTimestamp != m.Timestamp
}

// messageID is unique in the workspace: a timestamp alone is unique in its
// channel only.
func (r *reader) messageID(ts string) string { return r.ref.Channel + "-" + ts }

func (r *reader) messageURL(m *slack.Message) string {
	if r.workspace.Domain == "" {
		return ""
	}
	url := "https://" + r.workspace.Domain + ".slack.com/archives/" + r.ref.Channel + "/p" + strings.ReplaceAll(m.Timestamp, ".", "")
	if isReply(m) {
		url += "?thread_ts=" + m.ThreadTimestamp + "&cid=" + r.ref.Channel
	}
	return url
}

// messageBody is the text as it was written, in Slack's markup. Apps often write
// attachments alone.
func messageBody(m *slack.Message) string {
	if m.Text != "" {
		return m.Text
	}
	var lines []string
	for _, a := range m.Attachments {
		if a.Fallback != "" {
			lines = append(lines, a.Fallback)
		}
	}
	return strings.Join(lines, "\n")
}

func messageAttributes(m *slack.Message) (map[string]json.RawMessage, error) {
	values := map[string]any{}
	if m.ReplyCount > 0 {
		values["reply_count"] = m.ReplyCount
	}
	if len(m.Reactions) > 0 {
		counts := map[string]int{}
		for _, reaction := range m.Reactions {
			counts[reaction.Name] = reaction.Count
		}
		values["reactions"] = counts
	}
	if len(m.Files) > 0 {
		var names []string
		for n := range m.Files {
			names = append(names, cmp.Or(m.Files[n].Name, m.Files[n].ID))
		}
		values["files"] = names
	}
	if len(values) == 0 {
		return nil, nil
	}
	attributes := make(map[string]json.RawMessage, len(values))
	for name, value := range values {
		raw, err := writeState(value)
		if err != nil {
			return nil, err
		}
		attributes[name] = raw
	}
	return attributes, nil
}
