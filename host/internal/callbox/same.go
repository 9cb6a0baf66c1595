package callbox

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// sames are what somebody makes now that is made once, such as the contact of a number.
type sames struct {
	mu   sync.Mutex               // guards busy
	busy map[string]chan struct{} // closed when it is given back
}

// take waits until nobody else makes it. It returns what gives it back; false if ctx ended.
func (s *sames) take(ctx context.Context, what string) (back func(), ok bool) {
	for {
		s.mu.Lock()
		other := s.busy[what]
		if other == nil {
			mine := make(chan struct{})
			s.busy[what] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.busy, what)
				close(mine)
			}, true
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// turn runs the hook of an event that was claimed and stores what became of it. What is
// made once is made by one event, and the others have what that made.
func (c *Callbox) turn(claimed store.ClaimedEvent) (store.ClaimedEvent, bool) {
	if claimed.Event.Same == "" || claimed.Ask {
		return c.settle(claimed, c.do(claimed))
	}
	back, ok := c.sames.take(c.life, claimed.Event.Same)
	if !ok {
		return c.settle(claimed, notNow("the host is stopping"))
	}
	defer back()
	if res, known := c.made(claimed); known {
		return c.settle(claimed, res)
	}
	return c.settle(claimed, c.do(claimed))
}

// made returns what another event made that stands for this one, too. While nobody knows
// whether one did, this one waits.
func (c *Callbox) made(claimed store.ClaimedEvent) (Result, bool) {
	other, ok, err := c.inbox.MadeOfSame(c.life, claimed.Event.ID)
	if err != nil {
		return notNow("what was made before cannot be read: " + err.Error()), true
	}
	if !ok {
		return Result{}, false
	}
	var answer sdk.CallAnswer
	if len(other.Answer) > 0 && json.Unmarshal(other.Answer, &answer) == nil && answer.ID != "" {
		answer.Context = nil
		step := store.HookStep{Way: store.WayChain, Name: "dedupe", Key: "dedupe", Attempt: claimed.Event.Attempts, Skipped: "it was made before, by event " + other.UID}
		return Result{Answer: answer, Steps: []store.HookStep{step}}, true
	}
	return notNow("nobody knows yet whether it was made before, by event " + other.UID), true
}

// notNow is the result of an event that sent nothing and is tried again.
func notNow(why string) Result {
	return Result{Err: &store.HookError{Class: string(sdk.ClassTransient), Code: "made_once", Message: why, Outcome: store.OutcomeNotSent}}
}
