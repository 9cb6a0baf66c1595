package main

import (
	"cmp"
	"context"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// historyPage is the page token of a channel, whose history comes newest first.
type historyPage struct {
	Cursor string `json:"c,omitempty"`
	Newest string `json:"n,omitempty"` // the newest message of all pages
	Before string `json:"b,omitempty"` // the oldest message of the pages before
}

// readChannel reads one page of a channel's history. The cursor moves with the
// last page: until then older messages are missing.
func (r *reader) readChannel(ctx context.Context) (sdk.Outcome, error) {
	var page historyPage
	if err := readState("page of "+r.call.Stream.ID, r.call.Page, &page); err != nil {
		return sdk.Outcome{}, err
	}
	if err := readState("checkpoint of "+r.call.Stream.ID, r.call.Checkpoint, &r.mark); err != nil {
		return sdk.Outcome{}, err
	}
	var from *position
	if err := readState("cursor of "+r.call.Stream.ID, r.call.Cursor, &from); err != nil {
		return sdk.Outcome{}, err
	}
	w := newWindow(r.call.Run, from, r.settings.threadAge())
	got, err := r.history(ctx, w, page)
	if err != nil {
		return r.end(ctx, "channel "+cmp.Or(r.ref.Name, r.ref.Channel), err)
	}
	resumed := r.mark.Done
	r.mark.Newest = cmp.Or(r.mark.Newest, page.Newest)
	for n := range got.Messages {
		m := &got.Messages[n]
		if resumed != "" && !later(resumed, m.Timestamp) {
			continue
		}
		// The thread comes first: a checkpoint after the message covers it too.
		if m.ReplyCount > 0 && w.replies(m.LatestReply) {
			if err := r.planThread(ctx, m.Timestamp); err != nil {
				return sdk.Outcome{}, err
			}
		}
		if later(m.Timestamp, r.mark.Newest) {
			r.mark.Newest = m.Timestamp
		}
		if err := r.emit(ctx, m); err != nil {
			return sdk.Outcome{}, err
		}
	}
	next, err := historyNext(page, got)
	if err != nil {
		return sdk.Outcome{}, err
	}
	if next != nil {
		next.Newest = r.mark.Newest
		r.last.NextPage, err = writeState(next)
		return r.last, err
	}
	r.last.Cursor, err = writeState(w.end(r.mark.Newest))
	return r.last, err
}

// history reads a page. A cursor that Slack knows no more, after a long wait, is
// replaced by the time that the pages before have reached.
func (r *reader) history(ctx context.Context, w window, page historyPage) (*slack.GetConversationHistoryResponse, error) {
	params := &slack.GetConversationHistoryParameters{
		ChannelID: r.ref.Channel, Limit: r.call.PageLimit(pageSize), Oldest: w.oldest, Latest: w.latest, Cursor: page.Cursor,
	}
	if page.Cursor == "" {
		params.Latest = cmp.Or(page.Before, w.latest)
	}
	got, err := r.api.GetConversationHistoryContext(ctx, params)
	if err = fault(methodHistory, err); is(err, "invalid_cursor") && page.Before != "" {
		params.Cursor, params.Latest = "", page.Before
		got, err = r.api.GetConversationHistoryContext(ctx, params)
	}
	return got, fault(methodHistory, err)
}

// historyNext returns the page after page, nil at the end.
func historyNext(page historyPage, got *slack.GetConversationHistoryResponse) (*historyPage, error) {
	cursor := got.ResponseMetaData.NextCursor
	if cursor == "" && !got.HasMore {
		return nil, nil
	}
	next := &historyPage{Cursor: cursor, Before: page.Before}
	for n := range got.Messages {
		if ts := got.Messages[n].Timestamp; next.Before == "" || later(next.Before, ts) {
			next.Before = ts
		}
	}
	if next.Cursor == page.Cursor && next.Before == page.Before {
		return nil, badAnswer(methodHistory, "its next page is this page", nil)
	}
	return next, nil
}

// planThread adds the stream of a thread to the run. It is read whole: most
// threads are one page, what is known costs no write, and a thread that failed
// before is mended. So it needs no cursor, of which there would be one a thread.
func (r *reader) planThread(ctx context.Context, ts string) error {
	ref := r.ref
	ref.Thread = ts
	data, err := writeState(ref)
	if err != nil {
		return err
	}
	return r.out.Stream(ctx, sdk.Stream{
		ID:        "thread:" + ref.Channel + ":" + ts,
		Connector: connectorChannels,
		Data:      data,
		LimitKey:  r.workspace.limitKey(methodReplies),
	})
}
