package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// event is one as Jackfield's API takes it.
type event map[string]any

// lines are how many people are on the telephone at once.
const lines = 4

// results are how calls end, one after the other; those that nobody answered were never
// connected.
var results = [...]struct {
	code, disposition string
	connected         bool
}{
	{"COMPLETED", "sold", true},
	{"NO_ANSWER", "", false},
	{"COMPLETED", "calls back", true},
	{"BUSY", "", false},
	{"MISSED", "", false},
	{"COMPLETED", "", true},
	{"CANCELED", "", false},
	{"REJECTED", "", false},
	{"FAILED", "", true},
}

// callers are those who call in turn: one contact, two with one number, nobody known.
var callers = [...]string{"+4930123456", "+4940555100", "+842812345678", "+4989900100"}

// chosen is whom the agent chooses of the two who have one number.
const chosen = "c-3"

// chosenLate reports whether that is when the log of the call was begun already.
func chosenLate(n int) bool { return n%8 == 5 && results[n%len(results)].connected }

// belongs reports whether the log of a call may be that of a contact. A lookup that
// failed found nobody; whom the agent chose is chosen whatever was found.
func belongs(n int, contact string) bool {
	switch from := callers[n%len(callers)]; from {
	case callers[0]:
		return contact == "c-1" || contact == ""
	case callers[1]:
		return contact == chosen
	case callers[2]:
		return contact == "c-4" || contact == ""
	}
	return !slices.Contains([]string{"c-1", "c-2", "c-3", "c-4"}, contact) // nobody known at first
}

// play plays all calls, some at once.
func (d *day) play(ctx context.Context) error {
	numbers := make(chan int)
	errs := make([]error, lines)
	var wg sync.WaitGroup
	for line := range lines {
		wg.Go(func() {
			for n := range numbers {
				errs[line] = errors.Join(errs[line], d.call(ctx, n))
			}
		})
	}
	for n := range d.calls {
		numbers <- n
	}
	close(numbers)
	wg.Wait()
	return errors.Join(errs...)
}

// call plays one call from its ring to its wrap-up.
func (d *day) call(ctx context.Context, n int) error {
	end, from, id := results[n%len(results)], callers[n%len(callers)], fmt.Sprint(n+1)
	agent := []string{"ann", "ben", "cem"}[n%3]
	told := []string{"rings"}
	events := []event{{"type": "call.started", "direction": "in", "from": from, "to": "200"}}
	choice := event{"type": "call.updated", "update": "contact", "fields": map[string]any{"contact_id": chosen}, "nr": 2}
	several := from == callers[1]
	if several && !chosenLate(n) {
		told, events = append(told, "one of two is chosen"), append(events, choice)
	}
	if end.connected {
		told = append(told, "is answered by "+agent)
		events = append(events, event{"type": "call.connected"})
		if several && chosenLate(n) {
			told, events = append(told, "one of two is chosen"), append(events, choice)
		}
		if n%4 == 2 {
			told = append(told, "is held, goes on to 300")
			events = append(events, event{"type": "call.updated", "update": "hold"}, event{"type": "call.updated", "update": "transfer", "transfer_to": "300", "nr": 1})
		}
	}
	if d.ticketOf(n) {
		told = append(told, "makes a ticket")
		events = append(events, event{"type": "ticket.create", "fields": map[string]any{"subject": "Wants a refund, call " + id, "priority": "high"}})
	}
	last := event{"type": "call.ended", "result": end.code}
	if end.connected {
		last["duration"] = fmt.Sprintf("%ds", 30+n)
	}
	if end.disposition != "" {
		last["disposition"] = end.disposition
	}
	told = append(told, "ends: "+strings.ToLower(strings.ReplaceAll(end.code, "_", " ")))
	events = append(events, last)
	if d.messageOf(n) {
		told = append(told, "a message is sent")
		events = append(events, event{"type": "sms.sent", "direction": "out", "to": from, "text": "Sorry that we missed you, call " + d.name + "-" + id})
	}
	events = append(events, event{"type": "call.wrapup"})
	for _, e := range events {
		e["call_id"], e["agent"] = id, agent
		if err := d.tell(ctx, e); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%3s  %-13s %s\n", id, from, strings.Join(told, ", "))
	return nil
}

func (d *day) ticketOf(n int) bool  { return n%5 == 0 }
func (d *day) messageOf(n int) bool { return n%len(results) == 4 }

// count compares what the CRM holds with what was played.
func (d *day) count(ctx context.Context) error {
	if err := d.login(ctx); err != nil {
		return err
	}
	var held struct {
		Calls    []struct{ Call, State, Result, Contact string }
		Tickets  []struct{ Call string }
		Messages []struct{ Text string }
	}
	if err := send(ctx, http.MethodGet, "http://"+d.host+"/api/holdings", d.crmToken, nil, &held); err != nil {
		return err
	}
	logs, others := map[string]int{}, map[string]int{} // by the call's number; of the others tickets begin with t, messages with m
	wrong := 0
	for _, c := range held.Calls {
		if id, ours := strings.CutPrefix(c.Call, d.name+"-"); ours {
			logs[id]++
			if n, err := strconv.Atoi(id); err != nil || c.State != "done" || c.Result != results[(n-1)%len(results)].code || !belongs(n-1, c.Contact) {
				wrong++
				fmt.Fprintf(d.out, "the log of call %s is %s, %s, of the contact %q\n", c.Call, c.State, c.Result, c.Contact)
			}
		}
	}
	for _, t := range held.Tickets {
		if id, ours := strings.CutPrefix(t.Call, d.name+"-"); ours {
			others["t"+id]++
		}
	}
	for _, m := range held.Messages {
		if _, id, ours := strings.Cut(m.Text, d.name+"-"); ours {
			others["m"+id]++
		}
	}
	var sum tally
	for n := range d.calls {
		id := strconv.Itoa(n + 1)
		sum.add(logs[id], true)
		sum.add(others["t"+id], d.ticketOf(n))
		sum.add(others["m"+id], d.messageOf(n))
	}
	fmt.Fprintf(d.out, "\nthe CRM holds %d logs of %d calls, and %d of %d tickets and messages: %d lost, %d doubled, %d wrong (%.0f s)\n",
		len(logs), d.calls, len(others), sum.wanted-d.calls, sum.lost, sum.doubled, wrong, time.Since(d.began).Seconds())
	if sum.lost+sum.doubled+wrong > 0 {
		return errors.New("the CRM does not hold what was played")
	}
	return nil
}

// tally counts what is there more or less often than it is wanted.
type tally struct{ wanted, lost, doubled int }

func (t *tally) add(have int, wanted bool) {
	want := 0
	if wanted {
		want = 1
	}
	t.wanted += want
	t.lost += max(want-have, 0)
	t.doubled += max(have-want, 0)
}
