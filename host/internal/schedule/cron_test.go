package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/host/internal/schedule"
	"github.com/jackfield/jackfield/store"
)

// times lists when a rule comes true from one time on, in its zone.
func times(t *testing.T, r schedule.Rule, from string, n int) (out []string) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, from)
	require.NoError(t, err)
	zone := time.UTC
	if r.Zone != "" {
		zone, err = time.LoadLocation(r.Zone)
		require.NoError(t, err)
	}
	for range n {
		at = next(t, r, at)
		out = append(out, at.In(zone).Format("01-02 15:04 -0700"))
	}
	return out
}

// rows: F17
func TestCronInAZoneWithSummerTime(t *testing.T) {
	t.Parallel()
	const berlin = "Europe/Berlin" // 2026-03-29 02:00 -> 03:00; 2026-10-25 03:00 -> 02:00
	for name, c := range map[string]struct {
		cron, zone, from string
		want             []string
	}{
		"plain":        {"20 6 * * *", berlin, "2026-05-01T00:00:00Z", []string{"05-01 06:20 +0200", "05-02 06:20 +0200"}},
		"UTC":          {"20 6 * * *", "", "2026-05-01T00:00:00Z", []string{"05-01 06:20 +0000", "05-02 06:20 +0000"}},
		"skipped":      {"30 2 * * *", berlin, "2026-03-28T00:00:00Z", []string{"03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"}},
		"skipped once": {"*/15 2 * * *", berlin, "2026-03-29T00:00:00Z", []string{"03-29 03:00 +0200", "03-30 02:00 +0200"}},
		"skipped, and due behind the gap": {
			"0 2,3 * * *", berlin, "2026-03-29T00:00:00Z",
			[]string{"03-29 03:00 +0200", "03-30 02:00 +0200"},
		},
		"repeated":      {"30 2 * * *", berlin, "2026-10-24T12:00:00Z", []string{"10-25 02:30 +0200", "10-26 02:30 +0100"}},
		"repeated, now": {"30 2 * * *", berlin, "2026-10-25T01:10:00Z", []string{"10-26 02:30 +0100"}},
		"each hour, forward": {
			"30 * * * *", berlin, "2026-03-29T00:00:00Z",
			[]string{"03-29 01:30 +0100", "03-29 03:30 +0200", "03-29 04:30 +0200"},
		},
		"each hour, back": {
			"*/30 * * * *", berlin, "2026-10-24T23:45:00Z",
			[]string{"10-25 02:00 +0200", "10-25 02:30 +0200", "10-25 02:00 +0100", "10-25 02:30 +0100", "10-25 03:00 +0100"},
		},
		"half an hour of summer": {
			"15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00:00Z",
			[]string{"10-04 02:30 +1100", "10-05 02:15 +1100"},
		},
		"no midnight": {
			"0 0 * * *", "America/Santiago", "2026-09-05T05:00:00Z",
			[]string{"09-06 01:00 -0300", "09-07 00:00 -0300"},
		},
		"leap day":      {"0 0 29 2 *", "", "2026-03-01T00:00:00Z", []string{"02-29 00:00 +0000"}},
		"day or week":   {"0 0 13 * 5", "", "2026-03-01T00:00:00Z", []string{"03-06 00:00 +0000", "03-13 00:00 +0000", "03-20 00:00 +0000"}},
		"sunday is 7":   {"0 0 * * 7", "", "2026-03-02T00:00:00Z", []string{"03-08 00:00 +0000"}},
		"a word":        {"@daily", berlin, "2026-03-02T00:00:00Z", []string{"03-03 00:00 +0100"}},
		"names of days": {"0 9 * MAR MON-FRI", "", "2026-03-27T12:00:00Z", []string{"03-30 09:00 +0000"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, times(t, schedule.Rule{Cron: c.cron, Zone: c.zone, UID: "1"}, c.from, len(c.want)))
		})
	}
}

// rows: F17, C03
func TestOneCatchUpAfterADowntime(t *testing.T) {
	t.Parallel()
	r := schedule.Rule{Cron: "*/20 * * * *"}
	back := time.Date(2026, 3, 4, 10, 7, 0, 0, time.UTC) // three days late
	require.Equal(t, time.Date(2026, 3, 4, 10, 20, 0, 0, time.UTC), next(t, r, back), "the check that starts now stands for all that were missed")
}

// rows: C05
func TestHSpreadsIntegrations(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	places := map[time.Time]bool{}
	for i := range 500 {
		uid := string(rune('a'+i%26)) + string(rune('a'+i/26))
		at := next(t, schedule.Rule{Cron: "H H * * *", UID: uid}, from)
		require.Equal(t, at, next(t, schedule.Rule{Cron: "H H * * *", UID: uid}, from))
		places[at] = true
		step := next(t, schedule.Rule{Cron: "H/20 * * * *", UID: uid}, from)
		require.Equal(t, step.Add(20*time.Minute), next(t, schedule.Rule{Cron: "H/20 * * * *", UID: uid}, step))
	}
	require.Greater(t, len(places), 350, "minute and hour are drawn apart: 1440 places, not 120")
}

// rows: F17
func TestRefusesWhatNoRuleIs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ cron, zone, want, hint string }{
		{"0 0 31 2 *", "", "never comes true", "31 February"},
		{"@every 20m", "", "an interval is no cron rule", "every:"},
		{"TZ=Europe/Berlin 0 0 * * *", "", "the zone stands in a key of its own", "timezone: Europe/Berlin"},
		{"CRON_TZ=UTC 0 0 * * *", "", "the zone stands in a key of its own", "timezone: UTC"},
		{"0 0 * *", "", "expected exactly 5 fields", "minute, hour, day"},
		{"61 0 * * *", "", "above maximum", "minute, hour, day"},
		{"often", "", "expected exactly 5 fields", "minute, hour, day"},
		{"0 0 * * *", "Berlin", `no time zone "Berlin"`, "IANA"},
		{"0 0 * * *", "Local", `no time zone "Local"`, "IANA"},
		{"", "../etc/passwd", "no time zone", "IANA"},
	} {
		err := schedule.Rule{Cron: c.cron, Zone: c.zone}.Check(now)
		require.ErrorContains(t, err, c.want, "%q", c.cron)
		var hint *store.HintError
		require.ErrorAs(t, err, &hint)
		require.Contains(t, hint.Hint, c.hint)
	}
	require.NoError(t, schedule.Rule{Cron: "H/20 * * * *", Zone: "Europe/Berlin"}.Check(now))
	require.NoError(t, schedule.Rule{Every: -1}.Check(now))
}
