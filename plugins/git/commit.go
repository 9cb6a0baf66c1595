package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/jackfield/jackfield/sdk"
)

const (
	typeAuthored   = "authored-commit"
	typeCoAuthored = "co-authored-commit"
	score          = 2
	maxTitle       = 1 << 10
	maxBody        = 64 << 10
	activityBytes  = 2 << 10 // what else an activity may weigh
)

// facts are the attributes of a commit's activities.
type facts struct {
	Insertions *int      `json:"insertions,omitempty"`
	Deletions  *int      `json:"deletions,omitempty"`
	Files      *int      `json:"files,omitempty"`
	Uncounted  int       `json:"uncounted_files,omitempty"`
	IsMerge    bool      `json:"is_merge"`
	Boundary   bool      `json:"boundary,omitempty"`
	Repo       string    `json:"repo"`
	Committer  signature `json:"committer"`
}

type signature struct {
	Name  string    `json:"name,omitempty"`
	Email string    `json:"email,omitempty"`
	When  time.Time `json:"when"`
}

// emit sends the activities of a commit: the author's, and one for each
// co-author.
func (p *page) emit(ctx context.Context, v *visit) error {
	c := v.commit
	attributes, err := p.attributes(ctx, v)
	if err != nil {
		return err
	}
	id := v.hash.String()
	message := decodeText(c.Message, string(c.Encoding))
	author := newPerson(decodeText(c.Author.Name, string(c.Encoding)), decodeText(c.Author.Email, string(c.Encoding)))
	at := moment(c.Author.When, c.Committer.When)
	title, body := splitMessage(message)
	a := sdk.Activity{
		ID: id, Type: typeAuthored, Platform: platform, Timestamp: at,
		Score: score, IsContribution: true, Channel: p.repo.name,
		Title: line(title, maxTitle), Body: block(body, maxBody),
		Attributes: attributes, Member: author.member(at),
	}
	if err := p.send(ctx, a); err != nil {
		return err
	}
	p.last.LastRecord, p.last.LastRecordTimestamp = id, at
	for _, co := range coAuthorsOf(message, author) {
		a := a
		a.ID, a.ParentID, a.Type, a.Body = id+":co:"+co.username(), id, typeCoAuthored, ""
		a.Member = co.member(at)
		if err := p.send(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) send(ctx context.Context, a sdk.Activity) error {
	p.sent += len(a.Title) + len(a.Body) + activityBytes
	return p.out.Activity(ctx, a)
}

func (p *page) attributes(ctx context.Context, v *visit) (map[string]json.RawMessage, error) {
	c := v.commit
	f := facts{
		IsMerge:  len(c.ParentHashes) > 1,
		Boundary: v.boundary,
		Repo:     p.repo.name,
		Committer: signature{
			Name:  line(decodeText(c.Committer.Name, string(c.Encoding)), maxName),
			Email: newPerson("", c.Committer.Email).email,
			When:  moment(c.Committer.When, c.Author.When),
		},
	}
	if p.plan.stats && !v.boundary {
		n, err := p.count(ctx, c)
		if err != nil {
			return nil, err
		}
		f.Insertions, f.Deletions, f.Files, f.Uncounted = &n.insertions, &n.deletions, &n.files, n.uncounted
	}
	raw, err := encode("attributes", f)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("split attributes: %w", err)
	}
	return out, nil
}

// count compares a commit with its only parent. A merge counts nothing: its
// lines belong to the commits that it merges.
func (p *page) count(ctx context.Context, c *object.Commit) (counts, error) {
	if len(c.ParentHashes) > 1 {
		return counts{}, nil
	}
	d := newDiffer(p.repo, func() { p.pulse.beat(ctx, "comparing files of commit "+c.Hash.String()) })
	from := plumbing.ZeroHash
	if len(c.ParentHashes) == 1 {
		parent, err := p.repo.commit(c.ParentHashes[0])
		if err != nil {
			return counts{}, fmt.Errorf("read commit %s: %w", c.ParentHashes[0], err)
		}
		from = parent.TreeHash
	}
	n, err := d.count(ctx, from, c.TreeHash)
	if err != nil {
		return counts{}, fmt.Errorf("compare commit %s: %w", c.Hash, err)
	}
	return n, nil
}

// splitMessage returns the subject, which is the first paragraph on one line,
// and the rest.
func splitMessage(message string) (subject, body string) {
	message = strings.TrimLeft(strings.ReplaceAll(message, "\r\n", "\n"), "\n")
	subject, body, _ = strings.Cut(message, "\n\n")
	return strings.Join(strings.Fields(subject), " "), body
}

// moment returns the first of the times that a record can hold, in UTC, or the
// epoch: commits carry whatever a broken tool wrote.
func moment(times ...time.Time) time.Time {
	for _, t := range times {
		if t = t.UTC(); t.Year() > 1 && t.Year() < 10000 {
			return t
		}
	}
	return time.Unix(0, 0).UTC()
}
