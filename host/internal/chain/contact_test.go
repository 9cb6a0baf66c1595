package chain_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/chain"
	"github.com/jackfield/jackfield/sdk"
)

// lookups is an integration that knows those whose numbers end in 7.
func lookups(answer func(number string) chain.Answer) *crm {
	c := &crm{}
	c.ends = ends{"find": func(_ context.Context, g chain.Given) (chain.Answer, error) {
		number, _ := g.Call["number"].(string)
		return answer(number), nil
	}}
	c.flow = chain.Flow{Steps: []chain.Step{{Name: "contact", Endpoint: "find", Reads: true, Contacts: true}}}
	return c
}

func known(number string) chain.Answer {
	if number[len(number)-1] != '7' {
		return chain.Answer{Status: 200}
	}
	return chain.Answer{Status: 200, Items: []chain.Item{contact("of " + number)}}
}

func ring(t *testing.T, r *chain.Runner, c *crm, number string) chain.Result {
	t.Helper()
	in := c.input("call.started", sdk.HookGetDataIframe)
	in.Hook.Event.From = number
	out := r.Run(t.Context(), in)
	require.Nil(t, out.Err)
	return out
}

// rows: C48, G28
func TestContactsAreKnownForSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := lookups(known)
		r := chain.New(chain.Options{Fresh: 30 * time.Second, Nobody: 5 * time.Second})
		first := ring(t, r, c, "+497")
		second := ring(t, r, c, "+497")
		require.Equal(t, first.Answer.Contacts, second.Answer.Contacts)
		require.True(t, second.Steps[0].Cached)
		require.Len(t, c.names(), 1)
		ring(t, r, c, "+4917")
		require.Len(t, c.names(), 2, "another number is another question")

		ring(t, r, c, "+491")
		require.Empty(t, ring(t, r, c, "+491").Answer.Contacts)
		require.Len(t, c.names(), 3, "that there is nobody is known too")
		time.Sleep(5 * time.Second) // the bubble's clock
		ring(t, r, c, "+491")
		require.Len(t, c.names(), 4, "but not for long")
		require.True(t, ring(t, r, c, "+497").Steps[0].Cached)
		time.Sleep(25 * time.Second) // the bubble's clock
		require.False(t, ring(t, r, c, "+497").Steps[0].Cached)

		add := c.input("contact.create", sdk.HookCreateContact)
		add.Target = &crm{flow: chain.Flow{Steps: []chain.Step{{Name: "made", Endpoint: "add"}}}}
		require.Nil(t, r.Run(t.Context(), add).Err)
		require.False(t, ring(t, r, c, "+497").Steps[0].Cached, "after a contact was made everything is asked again")
	})
}

// rows: C48
func TestManyWhoAskTheSameAskOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := lookups(known)
		find := c.ends["find"]
		c.ends["find"] = func(ctx context.Context, g chain.Given) (chain.Answer, error) {
			time.Sleep(time.Second) // the bubble's clock
			return find(ctx, g)
		}
		r := chain.New(chain.Options{})
		found := make(chan int, 50)
		for range 50 {
			go func() {
				in := c.input("call.started", sdk.HookGetDataIframe)
				in.Hook.Event.From = "+497"
				found <- len(r.Run(context.Background(), in).Answer.Contacts)
			}()
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		in := c.input("call.started", sdk.HookGetDataIframe)
		in.Hook.Event.From = "+497"
		require.Equal(t, "lookup_timeout", r.Run(impatient, in).Err.Code)
		for range 50 {
			require.Equal(t, 1, <-found, "who gives up stops nobody else")
		}
		require.Len(t, c.names(), 1)
	})
}

// rows: C48
func TestALookupFromBeforeAContactWasMadeIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		there := false
		c := lookups(func(number string) chain.Answer {
			if !there {
				time.Sleep(time.Second) // the bubble's clock
				return chain.Answer{Status: 200}
			}
			return known(number)
		})
		r := chain.New(chain.Options{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(context.Background(), c.input("call.started", sdk.HookGetDataIframe))
		}()
		synctest.Wait()
		r.Forget("uid-1")
		<-done
		there = true
		require.Len(t, ring(t, r, c, "+49301234567").Answer.Contacts, 1)
	})
}

// rows: C48
func TestContactsAreBounded(t *testing.T) {
	t.Parallel()
	c := lookups(known)
	r := chain.New(chain.Options{MaxContacts: 10})
	for i := range 11 {
		ring(t, r, c, fmt.Sprintf("+49%d7", i))
	}
	require.True(t, ring(t, r, c, "+49107").Steps[0].Cached)
	require.False(t, ring(t, r, c, "+4907").Steps[0].Cached, "the oldest made way")

	big := make([]any, 5000)
	c = lookups(func(string) chain.Answer {
		return chain.Answer{Status: 200, Body: big, Items: []chain.Item{contact("1")}}
	})
	ring(t, r, c, "+49")
	require.False(t, ring(t, r, c, "+49").Steps[0].Cached, "an answer that is large is not kept")
}
