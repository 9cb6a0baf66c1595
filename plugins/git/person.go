package main

import (
	"slices"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	platform  = "git"
	maxName   = 256
	coAuthors = 100 // of one commit; more is no list of people
)

// person is who a commit names.
type person struct {
	name  string
	email string // lower case; empty if there is none
}

func newPerson(name, email string) person {
	email = strings.ToLower(strings.Trim(line(email, maxName), "<>() \t"))
	return person{name: line(strings.Trim(strings.TrimSpace(name), `"`), maxName), email: email}
}

// username is what the person is known by: the email, or the name if there is
// none.
func (p person) username() string {
	switch {
	case p.email != "":
		return p.email
	case p.name != "":
		return strings.ToLower(p.name)
	default:
		return "unknown"
	}
}

// member is the person as of the time of a commit. The version lets the newest
// commit's spelling of the name win, in whatever order commits are read.
func (p person) member(at time.Time) *sdk.Member {
	m := &sdk.Member{
		Version:     at.Format("2006-01-02T15:04:05Z"),
		DisplayName: p.name,
		Identities:  []sdk.Identity{{Platform: platform, Username: p.username()}},
	}
	if m.DisplayName == "" {
		m.DisplayName, _, _ = strings.Cut(p.username(), "@")
	}
	if strings.Contains(p.email, "@") {
		m.Emails = []string{p.email}
	}
	return m
}

// coAuthorsOf returns the people of the Co-authored-by trailers of a message,
// each once, the author left out. It takes them from any line but the first,
// because squashed messages carry them in their middle.
func coAuthorsOf(message string, author person) []person {
	known := []string{author.username()}
	var out []person
	_, rest, _ := strings.Cut(strings.ReplaceAll(message, "\r\n", "\n"), "\n")
	for text := range strings.SplitSeq(rest, "\n") {
		k, v, ok := strings.Cut(text, ":")
		if !ok || !strings.EqualFold(strings.TrimRight(k, " \t"), "Co-authored-by") {
			continue
		}
		p := parsePerson(v)
		if p == (person{}) || slices.Contains(known, p.username()) {
			continue
		}
		if len(out) == coAuthors {
			break
		}
		known = append(known, p.username())
		out = append(out, p)
	}
	return out
}

// parsePerson reads "Name <email>" and what people write instead: the email
// alone, with or without brackets, "Name email", "Name (email)", the name alone.
func parsePerson(s string) person {
	s = strings.TrimSpace(s)
	if open := strings.LastIndexByte(s, '<'); open >= 0 {
		email, _, _ := strings.Cut(s[open+1:], ">")
		return newPerson(s[:open], email)
	}
	words := strings.Fields(s)
	if len(words) > 0 && strings.Contains(words[len(words)-1], "@") {
		return newPerson(strings.Join(words[:len(words)-1], " "), words[len(words)-1])
	}
	return newPerson(s, "")
}
