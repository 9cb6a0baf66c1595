package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// The attributes of members.
const (
	attrAvatar      = "avatar_url"
	attrTitle       = "job_title"
	attrTimezone    = "timezone"
	attrBot         = "is_bot"
	attrApp         = "is_app"
	attrDeactivated = "deactivated"
)

// pageSize is the size of pages that Slack recommends.
const pageSize = 200

// maxRestarts bounds how often a listing starts over because its cursor is
// known no more.
const maxRestarts = 3

// membersPage is the page token of the members.
type membersPage struct {
	Cursor string `json:"c"`
	// Restarts tells the pages of one pass from those of the pass before.
	Restarts int `json:"r,omitempty"`
}

// readMembers reads one page of the workspace's users.
func (i *instance) readMembers(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	var page membersPage
	if err := readState("page of members", call.Page, &page); err != nil {
		return sdk.Outcome{}, err
	}
	got, err := i.usersPage(ctx, call.PageLimit(pageSize), page.Cursor)
	if is(err, "invalid_cursor") && page.Cursor != "" && page.Restarts < maxRestarts {
		page = membersPage{Restarts: page.Restarts + 1}
		got, err = i.usersPage(ctx, call.PageLimit(pageSize), "")
	}
	if err != nil {
		return sdk.Outcome{}, err
	}
	var last string
	for n := range got.Users {
		m := userMember(&got.Users[n])
		if m.ID == "" {
			if err := out.Warn(ctx, "", "a user without an id was skipped"); err != nil {
				return sdk.Outcome{}, err
			}
			continue
		}
		if err := out.Member(ctx, m); err != nil {
			return sdk.Outcome{}, err
		}
		putUser(ctx, m.ID, cachedUser{Version: m.Version, Member: &m})
		last = m.ID
	}
	o := sdk.Outcome{LastRecord: last}
	if got.Cursor == "" {
		return o, nil
	}
	if got.Cursor == page.Cursor {
		return sdk.Outcome{}, badAnswer(methodUsersList, "its next page is this page", nil)
	}
	o.NextPage, err = writeState(membersPage{Cursor: got.Cursor, Restarts: page.Restarts})
	return o, err
}

func (i *instance) usersPage(ctx context.Context, limit int, cursor string) (slack.UserPagination, error) {
	p := i.api.GetUsersPaginated(slack.GetUsersOptionLimit(limit),
		slack.GetUsersOptionIncludeLocale(false), slack.GetUsersOptionCursor(cursor))
	p, err := p.Next(ctx)
	return p, fault(methodUsersList, err)
}

// userMember makes a member of a user. Bots and people who have left are members
// too: their messages stay.
func userMember(u *slack.User) sdk.Member {
	m := sdk.Member{
		ID:          u.ID,
		Version:     unixVersion(int64(u.Updated)),
		DisplayName: cmp.Or(u.Profile.DisplayName, u.Profile.RealName, u.RealName, u.Name, u.ID),
		Identities:  []sdk.Identity{{Platform: platform, Username: cmp.Or(u.Name, u.ID), SourceID: u.ID}},
		Attributes:  map[string]map[string]any{},
	}
	if u.Profile.Email != "" {
		m.Emails = []string{u.Profile.Email}
	}
	set := func(name string, value any) { m.Attributes[name] = map[string]any{platform: value} }
	for name, value := range map[string]string{
		attrAvatar:   cmp.Or(u.Profile.Image512, u.Profile.Image192, u.Profile.Image72),
		attrTitle:    u.Profile.Title,
		attrTimezone: u.TZ,
	} {
		if value != "" {
			set(name, value)
		}
	}
	set(attrBot, u.IsBot || u.ID == "USLACKBOT") // Slack's own bot is not marked as one
	set(attrApp, u.IsAppUser)
	set(attrDeactivated, u.Deleted)
	return m
}

// botMember makes a member of an app that posts without a user of its own.
func botMember(b *slack.BotProfile) sdk.Member {
	return sdk.Member{
		ID:          b.ID,
		Version:     unixVersion(b.Updated),
		DisplayName: cmp.Or(b.Name, b.ID),
		Identities:  []sdk.Identity{{Platform: platform, Username: cmp.Or(b.Name, b.ID), SourceID: b.ID}},
		Attributes: map[string]map[string]any{
			attrBot: {platform: true}, attrApp: {platform: true}, attrDeactivated: {platform: b.Deleted},
		},
	}
}

// unixVersion makes seconds sortable as bytes.
func unixVersion(seconds int64) string { return fmt.Sprintf("%012d", max(seconds, 0)) }
