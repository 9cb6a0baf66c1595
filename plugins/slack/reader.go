package main

import (
	"context"
	"errors"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// segmentBytes is how much a page gathers before it makes a checkpoint. Slack's
// longest messages would take a page beyond what a segment may hold.
const segmentBytes = 1 << 20

// memberBytes is what a message's author weighs, about.
const memberBytes = 2 << 10

// reader reads one page of one stream.
type reader struct {
	*instance
	workspace workspace
	ref       streamRef
	call      sdk.StreamCall
	out       *sdk.Emitter
	authors   map[string]author // by user id, met on this page

	mark  mark
	moved bool // mark is ahead of the last checkpoint
	size  int  // bytes since the last checkpoint, about
	last  sdk.Outcome
}

// mark is the checkpoint within a page: where it resumes if its end does not come.
type mark struct {
	// Newest is the newest message of a channel that the stream has seen. A page
	// that is read again may start with newer ones; they are left to the next run.
	Newest string `json:"n,omitempty"`
	Done   string `json:"d,omitempty"` // the last message that was emitted
}

// emit imports one message and moves the mark to it. If its author cannot be
// looked up now, what the page gave so far is kept by a checkpoint, and nothing
// of it is emitted again.
func (r *reader) emit(ctx context.Context, m *slack.Message) error {
	a, err := r.activity(ctx, m)
	if _, ok := errors.AsType[*sdk.Error](err); ok && r.moved && ctx.Err() == nil {
		if cerr := r.checkpoint(ctx); cerr != nil {
			return cerr
		}
	}
	if err != nil {
		return err
	}
	if a != nil {
		if err := r.out.Activity(ctx, *a); err != nil {
			return err
		}
		r.last.LastRecord, r.last.LastRecordTimestamp = a.ID, a.Timestamp
		r.size += len(a.Body) + memberBytes
	}
	if _, ok := parseTS(m.Timestamp); ok {
		r.mark.Done, r.moved = m.Timestamp, true
	}
	if r.size < segmentBytes {
		return nil
	}
	return r.checkpoint(ctx)
}

func (r *reader) checkpoint(ctx context.Context) error {
	data, err := writeState(r.mark)
	if err != nil {
		return err
	}
	r.moved, r.size = false, 0
	return r.out.Checkpoint(ctx, sdk.Checkpoint{Data: data})
}

// end finishes a stream whose subject is gone, or passes err on.
func (r *reader) end(ctx context.Context, what string, err error) (sdk.Outcome, error) {
	if !vanished(err) {
		return sdk.Outcome{}, err
	}
	return sdk.Outcome{}, r.out.Warn(ctx, r.ref.Channel, what+" was not read: "+vanishedHint(err))
}
