//go:build unix

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// shownMember is a member as the commands print it.
type shownMember struct {
	ID          string           `json:"id"`
	DisplayName string           `json:"display_name"`
	Reach       map[string]int64 `json:"reach"`
	Sources     []struct {
		Integration string `json:"integration"`
		ExternalID  string `json:"external_id"`
	} `json:"sources"`
}

// sourcesOf returns the sources of each member.
func (s *site) sourcesOf(tenant string) (out []string) {
	s.t.Helper()
	var doc struct {
		Members []shownMember `json:"members"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.cli("member", "list", tenant, "-o", "json")), &doc))
	for _, m := range doc.Members {
		var ids []string
		for _, source := range m.Sources {
			ids = append(ids, source.ExternalID)
		}
		slices.Sort(ids)
		out = append(out, strings.Join(ids, " "))
	}
	slices.Sort(out)
	return out
}

// rows: C12, C17, K05, K06
//
// From a plugin's process to what the commands say: members across the sources that
// say the same account, taken apart for good by a person, and activities with their
// parents.
func TestMembersOfATenant(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"streams": 2, "people": 2})
	d := s.start()
	s.await(store.RunProcessed)
	require.Eventually(t, func() bool {
		return slices.Equal(s.sourcesOf("acme"), []string{"s0000-p0 s0001-p0", "s0000-p1 s0001-p1"})
	}, time.Minute, 100*time.Millisecond)

	var list struct {
		Members []shownMember `json:"members"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.cli("member", "list", "acme", "--account", "mail:p1", "-o", "json")), &list))
	require.Len(t, list.Members, 1)
	var shown struct {
		Member shownMember `json:"member"`
	}
	id := "acme/" + list.Members[0].ID
	require.NoError(t, json.Unmarshal([]byte(s.cli("member", "show", id, "-o", "json")), &shown))
	require.Equal(t, "Person 1", shown.Member.DisplayName)
	require.Equal(t, map[string]int64{"s0000": 1, "s0001": 1}, shown.Member.Reach, "of the updates, which came before the members")
	require.Contains(t, s.cli("member", "show", id), "mail:p1")

	var merges struct {
		Merges []struct {
			ID       string `json:"id"`
			Username string `json:"username"`
		} `json:"merges"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.cli("member", "merges", "acme", "-o", "json")), &merges))
	require.Len(t, merges.Merges, 2)
	for _, m := range merges.Merges {
		if m.Username == "p1" {
			s.cli("member", "unmerge", "acme/"+m.ID)
		}
	}
	apart := []string{"s0000-p0 s0001-p0", "s0000-p1", "s0001-p1"}
	isApart := func() bool { return slices.Equal(s.sourcesOf("acme"), apart) }
	require.Eventually(t, isApart, time.Minute, 100*time.Millisecond)
	s.cli("member", "rebuild", "acme")
	s.sync()
	d.stop(t)
	d = s.start()
	require.Eventually(t, func() bool {
		_, err := s.try("status")
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	require.Eventually(t, isApart, time.Minute, 100*time.Millisecond, "after they were made anew, a sync and a restart")

	out := s.cli("record", "list", "--kind", "activity", "--parents")
	require.Equal(t, 4, strings.Count(out, "nobody (not there)"))
	require.Equal(t, 4, strings.Count(out, "asks\n"))
	out, err := s.try("member", "show", "acme/999999")
	require.Error(t, err, out)
	d.stop(t)
}
