package main

import (
	"context"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// threadPage is the page token of a thread, whose replies come oldest first.
type threadPage struct {
	Cursor string `json:"c,omitempty"`
	After  string `json:"a,omitempty"` // the newest reply of the pages before
}

// readThread reads one page of a thread's replies. The message that they answer
// is the channel's.
func (r *reader) readThread(ctx context.Context) (sdk.Outcome, error) {
	var page threadPage
	if err := readState("page of "+r.call.Stream.ID, r.call.Page, &page); err != nil {
		return sdk.Outcome{}, err
	}
	if err := readState("checkpoint of "+r.call.Stream.ID, r.call.Checkpoint, &r.mark); err != nil {
		return sdk.Outcome{}, err
	}
	got, err := r.replies(ctx, page)
	if err != nil {
		return r.end(ctx, "thread "+r.messageID(r.ref.Thread), err)
	}
	resumed, after := r.mark.Done, page.After
	for n := range got.messages {
		m := &got.messages[n]
		if m.Timestamp == r.ref.Thread {
			continue // Slack starts every page with it
		}
		if later(m.Timestamp, after) {
			after = m.Timestamp
		}
		if resumed != "" && !later(m.Timestamp, resumed) {
			continue
		}
		if err := r.emit(ctx, m); err != nil {
			return sdk.Outcome{}, err
		}
	}
	if got.cursor == "" && !got.more {
		return r.last, nil
	}
	next := threadPage{Cursor: got.cursor, After: after}
	if next == page {
		return sdk.Outcome{}, badAnswer(methodReplies, "its next page is this page", nil)
	}
	r.last.NextPage, err = writeState(next)
	return r.last, err
}

// replyPage is an answer of conversations.replies.
type replyPage struct {
	messages []slack.Message
	cursor   string
	more     bool
}

// replies reads a page. A cursor that Slack knows no more is replaced by the time
// that the pages before have reached.
func (r *reader) replies(ctx context.Context, page threadPage) (replyPage, error) {
	params := &slack.GetConversationRepliesParameters{ChannelID: r.ref.Channel, Timestamp: r.ref.Thread, Limit: r.call.PageLimit(pageSize), Cursor: page.Cursor}
	if page.Cursor == "" {
		params.Oldest = page.After
	}
	got, err := r.repliesOnce(ctx, params)
	if is(err, "invalid_cursor") && page.After != "" {
		params.Cursor, params.Oldest = "", page.After
		got, err = r.repliesOnce(ctx, params)
	}
	return got, err
}

func (r *reader) repliesOnce(ctx context.Context, params *slack.GetConversationRepliesParameters) (replyPage, error) {
	messages, more, cursor, err := r.api.GetConversationRepliesContext(ctx, params)
	return replyPage{messages: messages, more: more, cursor: cursor}, fault(methodReplies, err)
}
