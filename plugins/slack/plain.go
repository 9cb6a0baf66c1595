package main

import (
	"encoding/json"
	"errors"

	"github.com/slack-go/slack"
)

// plain is a message without what the plugin does not read. Blocks, attachments
// and files come in ever new shapes, and one that package slack cannot decode
// would make its whole page unreadable for good.
type plain struct {
	Type            string               `json:"type,omitempty"`
	SubType         string               `json:"subtype,omitempty"`
	User            string               `json:"user,omitempty"`
	Text            string               `json:"text,omitempty"`
	Timestamp       string               `json:"ts,omitempty"`
	ThreadTimestamp string               `json:"thread_ts,omitempty"`
	ReplyCount      int                  `json:"reply_count,omitempty"`
	LatestReply     string               `json:"latest_reply,omitempty"`
	BotID           string               `json:"bot_id,omitempty"`
	Username        string               `json:"username,omitempty"`
	BotProfile      *plainBot            `json:"bot_profile,omitempty"`
	Edited          *slack.Edited        `json:"edited,omitempty"`
	Reactions       []slack.ItemReaction `json:"reactions,omitempty"`
	Files           []plainFile          `json:"files,omitempty"`
	Attachments     []plainAttachment    `json:"attachments,omitempty"`
}

type plainBot struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Updated int64  `json:"updated,omitempty"`
}

type plainFile struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type plainAttachment struct {
	Fallback string `json:"fallback,omitempty"`
}

// plainMessages rewrites an answer's messages as plain ones.
func plainMessages(body []byte) ([]byte, error) {
	var in struct {
		HasMore  bool                   `json:"has_more"`
		Metadata slack.ResponseMetadata `json:"response_metadata"`
		Messages []json.RawMessage      `json:"messages"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	messages := make([]plain, len(in.Messages))
	for n, raw := range in.Messages {
		// A field of another type is left out; the rest of the message is good.
		if err := json.Unmarshal(raw, &messages[n]); err != nil && !otherType(err) {
			return nil, err
		}
	}
	return json.Marshal(map[string]any{
		"ok": true, "has_more": in.HasMore, "response_metadata": in.Metadata, "messages": messages,
	})
}

func otherType(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}
