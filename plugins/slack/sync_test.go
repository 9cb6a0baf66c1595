package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// acme is a workspace with a bit of everything.
func acme(t *testing.T) *fakeSlack {
	t.Helper()
	f := newFake(t)
	f.longest = 3
	for n := range 7 {
		f.user(fmt.Sprintf("U%d", n), fmt.Sprintf("user%d", n))
	}
	general := f.channel("C1", "general")
	general.general = true
	random := f.channel("C2", "random")
	day := start().Add(-40 * 24 * time.Hour)
	for _, c := range []*fakeChannel{general, random} {
		f.say(c, day, "U1", "<@U1> has joined the channel", object{"subtype": "channel_join"})
		for n := range 8 {
			f.say(c, day.Add(time.Duration(n+1)*time.Hour), fmt.Sprintf("U%d", n%5), fmt.Sprintf("message %d", n))
		}
	}
	parent := f.say(general, day.Add(20*time.Hour), "U2", "a question")
	for n := range 7 {
		f.say(general, day.Add(time.Duration(21+n)*time.Hour), fmt.Sprintf("U%d", n), fmt.Sprintf("answer %d", n), inThread(parent))
	}
	f.say(random, day.Add(30*time.Hour), "", "deployed", object{
		"subtype": "bot_message", "bot_id": "B1", "bot_profile": object{"id": "B1", "name": "deployer", "updated": 1600000000},
	})
	f.say(random, day.Add(31*time.Hour), "U1", "set the topic", object{"subtype": "channel_topic"})
	f.say(random, day.Add(32*time.Hour), "UHIDDEN", "from somewhere else")
	return f
}

// rows: C15, C18, C34
func TestOnboardingImportsEverything(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))

	require.Len(t, h.members, 7+1, "users and the app")
	require.Len(t, h.activities, 2*9+1+7+2)
	require.Empty(t, h.warnings)
	for id, n := range h.applied {
		require.Equal(t, 1, n, id)
	}
	require.Contains(t, h.streams, "members")
	require.Contains(t, h.streams, "channel:C1")
	require.Len(t, h.streams, 4, "members, two channels, one thread")

	m := h.members["U3"]
	require.Equal(t, "USER3", m.DisplayName)
	require.Equal(t, []string{"user3@acme.example"}, m.Emails)
	require.Equal(t, []sdk.Identity{{Platform: "slack", Username: "user3", SourceID: "U3"}}, m.Identities)
	require.Equal(t, "Engineer", m.Attributes[attrTitle]["slack"])
	require.Equal(t, "Europe/Berlin", m.Attributes[attrTimezone]["slack"])
	require.Equal(t, "https://avatars.example/U3", m.Attributes[attrAvatar]["slack"])
	require.Equal(t, false, m.Attributes[attrDeactivated]["slack"])
	require.Equal(t, "001700000000", m.Version)

	bot := h.members["B1"]
	require.Equal(t, "deployer", bot.DisplayName)
	require.Equal(t, true, bot.Attributes[attrBot]["slack"])

	hidden := h.activities["C2-"+formatTS(start().Add(-40*24*time.Hour+32*time.Hour))]
	require.Equal(t, "UHIDDEN", hidden.Username, "a user whom Slack does not show is a name")
	require.Nil(t, hidden.Member)
}

// A join is one per channel, and so is a message that has another's timestamp.
//
// rows: C15, D13
func TestD13JoinsAndMessagesAreUniqueByChannel(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	ts := formatTS(start().Add(-40 * 24 * time.Hour))
	for _, channel := range []string{"C1", "C2"} {
		a := h.activities[channel+"-"+ts]
		require.Equal(t, "channel_joined", a.Type)
		require.EqualValues(t, 3, a.Score)
		require.Equal(t, "U1", a.Member.ID)
		require.Empty(t, a.Body)
	}
	require.JSONEq(t, "true", string(h.activities["C1-"+ts].Attributes["general"]))
}

func TestMessagesCarryTheirThread(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	day := start().Add(-40 * 24 * time.Hour)
	parent, reply := formatTS(day.Add(20*time.Hour)), formatTS(day.Add(23*time.Hour))
	a := h.activities["C1-"+reply]
	require.Equal(t, "message", a.Type)
	require.EqualValues(t, 6, a.Score)
	require.True(t, a.IsContribution)
	require.Equal(t, "C1-"+parent, a.ParentID)
	require.Equal(t, "answer 2", a.Body)
	require.Equal(t, "general", a.Channel)
	require.Equal(t, "U2", a.Member.ID)
	require.Equal(t, day.Add(23*time.Hour), a.Timestamp)
	require.Equal(t, "https://acme.slack.com/archives/C1/p1696626800000000?thread_ts="+parent+"&cid=C1", a.URL)
	require.JSONEq(t, "7", string(h.activities["C1-"+parent].Attributes["reply_count"]))
}

// rows: C21
func TestOutcomesNameTheirLastRecord(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	for _, o := range h.outcomes {
		if o.LastRecordTimestamp.IsZero() {
			continue
		}
		require.Equal(t, h.activities[o.LastRecord].Timestamp, o.LastRecordTimestamp)
	}
	require.NotEmpty(t, h.outcomes[len(h.outcomes)-1].LastRecord)
}

// Three pages of channels, the first of which is all archived: the first 100 were
// read and no others.
//
// rows: C34, D21
func TestD21AllPagesOfChannels(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.longest = 100
	for n := range 250 {
		f.channel(fmt.Sprintf("C%d", n), fmt.Sprintf("channel-%d", n)).archived = n < 100
	}
	h := newTestHost(t, f, nil)
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	require.Len(t, h.streams, 1+150)
	require.Len(t, f.called("conversations.list"), 3)
	require.Contains(t, h.streams, "channel:C249")
}

func TestChannelsOfTheSettings(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.longest = 2
	for n := range 10 {
		f.channel(fmt.Sprintf("C%d", n), fmt.Sprintf("channel-%d", n))
	}
	f.channel("G1", "secret").private = true

	t.Run("by name and id", func(t *testing.T) {
		t.Parallel()
		h := newTestHost(t, f, object{"channels": []string{"#Channel-1", "C2"}})
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Len(t, h.streams, 3)
		require.Contains(t, h.streams, "channel:C1")
		require.Contains(t, h.streams, "channel:C2")
		require.Empty(t, h.warnings)
	})
	t.Run("one is not there", func(t *testing.T) {
		t.Parallel()
		h := newTestHost(t, f, object{"channels": []string{"channel-9", "nowhere", "secret"}})
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Len(t, h.streams, 2)
		require.Len(t, h.warnings, 2)
		require.Contains(t, h.warnings[0], "channel nowhere was not found")
		require.Contains(t, h.warnings[1], "include_private")
	})
	t.Run("private", func(t *testing.T) {
		t.Parallel()
		h := newTestHost(t, f, object{"channels": []string{"secret"}, "include_private": true})
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Contains(t, h.streams, "channel:G1")
	})
}

// A channel that the bot is no member of is a warning that says what to do; the
// others are imported.
func TestChannelsWithoutTheBot(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) *fakeSlack {
		t.Helper()
		f := newFake(t)
		f.user("U1", "ada")
		f.say(f.channel("C1", "open"), start().Add(-time.Hour), "U1", "hello")
		outside := f.channel("C2", "closed")
		outside.outside = true
		f.say(outside, start().Add(-time.Hour), "U1", "psst")
		return f
	}
	t.Run("left out", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		h := newTestHost(t, f, nil)
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Len(t, h.activities, 1)
		require.NotContains(t, h.streams, "channel:C2")
		require.Empty(t, f.called("conversations.join"))
	})
	t.Run("named", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		h := newTestHost(t, f, object{"channels": []string{"open", "closed"}})
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Len(t, h.activities, 1)
		require.Equal(t, []string{"channel closed was not read: the bot is no member of it (hint: /invite the bot there, or set join: true)"}, h.warnings)
		require.NotContains(t, h.cursors, "C2", "what was not read has no cursor")
	})
	t.Run("joined", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		h := newTestHost(t, f, object{"join": true})
		require.NoError(t, h.sync(t.Context(), onboarding(start())))
		require.Len(t, h.activities, 2)
		require.Len(t, f.called("conversations.join"), 1)
	})
	t.Run("gone meanwhile", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		h := newTestHost(t, f, nil)
		run := onboarding(start())
		require.NoError(t, h.sync(t.Context(), run))
		seg := &segment{host: h, partition: "C9"}
		data, err := writeState(streamRef{Channel: "C9", Name: "gone"})
		require.NoError(t, err)
		err = seg.call(t.Context(), func(out *sdk.Emitter) (sdk.Outcome, error) {
			return h.inst.ProcessStream(t.Context(), sdk.StreamCall{Run: run, Stream: sdk.Stream{ID: "channel:C9", Data: data}}, out)
		})
		require.NoError(t, err)
		require.Contains(t, h.warnings[0], "channel gone was not read")
	})
}

// Members are read at onboarding, by hand, and when the connector is new.
func TestMembersAreListedWhenAskedFor(t *testing.T) {
	t.Parallel()
	done := map[string]time.Time{connectorMembers: start()}
	for name, c := range map[string]struct {
		run  sdk.Run
		want bool
	}{
		"onboarding":  {sdk.Run{Onboarding: true, Watermarks: done, Connectors: []string{"members", "channels"}}, true},
		"manual":      {sdk.Run{Kind: sdk.RunManual, Watermarks: done, Connectors: []string{"members"}}, true},
		"new":         {sdk.Run{Kind: sdk.RunCheck, Connectors: []string{"members"}}, true},
		"check":       {sdk.Run{Kind: sdk.RunCheck, Watermarks: done, Connectors: []string{"members", "channels"}}, false},
		"not enabled": {sdk.Run{Onboarding: true, Connectors: []string{"channels"}}, false},
	} {
		require.Equal(t, c.want, wantsMembers(c.run), name)
	}
}

// rows: C30, O43
func TestTokenIsInTheHeaderAlone(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, object{"join": true})
	f.setDisturb(everything(slowDown, cut, htmlError, reason("internal_error")))
	require.NoError(t, h.sync(t.Context(), onboarding(start())))
	f.setDisturb(nil)
	require.NoError(t, h.sync(t.Context(), check(start().Add(time.Hour))))

	require.NotEmpty(t, h.failures)
	for _, err := range h.failures {
		require.NotContains(t, fmt.Sprintf("%v %+v", err, err), canary)
	}
	all, err := json.Marshal([]any{h.members, h.activities, h.warnings, h.streams, h.outcomes})
	require.NoError(t, err)
	require.NotContains(t, string(all), canary)
	for _, blob := range h.opaque {
		require.False(t, bytes.Contains(blob, []byte(canary)))
	}
	for _, value := range h.cache.values {
		require.NotContains(t, string(value), canary)
	}
	for _, c := range f.called("") {
		require.Equal(t, "Bearer "+canary, c.auth)
		require.NotContains(t, c.url, canary)
		require.NotContains(t, c.args.Encode(), canary)
	}
	require.NotContains(t, fmt.Sprintf("%+v %#v", h.inst, h.inst), canary, "the instance does not print it")
}

// The cache spares look-ups, and without one the import is the same.
func TestUsersAreLookedUpOnce(t *testing.T) {
	t.Parallel()
	f := acme(t)
	h := newTestHost(t, f, nil)
	run := onboarding(start())
	run.Connectors = []string{connectorChannels}
	require.NoError(t, h.sync(t.Context(), run))
	require.Len(t, f.called("users.info"), 7+1, "each user, and the hidden one, once")
	require.Positive(t, h.cache.progress)

	bare := newTestHost(t, f, nil)
	bare.cache.broken = true
	require.NoError(t, bare.sync(t.Context(), run))
	require.Equal(t, h.activities, bare.activities)
	require.Equal(t, h.members, bare.members)
}
