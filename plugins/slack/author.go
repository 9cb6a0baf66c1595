package main

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// userTTL is how long a looked-up user is taken from the host's cache.
const userTTL = 24 * time.Hour

// author is who wrote a message: a member, or a name if Slack does not say more.
type author struct {
	member *sdk.Member
	name   string
}

// cachedUser is a user in the host's cache; without a member it is one that
// Slack does not show to the bot.
type cachedUser struct {
	Version string      `json:"version,omitempty"`
	Member  *sdk.Member `json:"member,omitempty"`
}

// author finds out who wrote m. The zero author means that m does not say.
func (r *reader) author(ctx context.Context, m *slack.Message) (author, error) {
	if m.User != "" {
		return r.user(ctx, m.User)
	}
	if m.BotProfile != nil && m.BotProfile.ID != "" {
		b := botMember(m.BotProfile)
		return author{member: &b}, nil
	}
	return author{name: cmp.Or(m.BotID, m.Username)}, nil
}

// user looks a user up: on this page, in the host's cache, at Slack.
func (r *reader) user(ctx context.Context, id string) (author, error) {
	if a, ok := r.authors[id]; ok {
		return a, nil
	}
	c, ok := getUser(ctx, id)
	if !ok {
		u, err := r.api.GetUserInfoContext(ctx, id, slack.GetUserInfoOptionIncludeLocale(false))
		switch err = fault(methodUsersInfo, err); {
		case is(err, "user_not_found", "user_not_visible", "users_not_found"):
		case err != nil:
			return author{}, err
		case u.ID != id:
			return author{}, badAnswer(methodUsersInfo, "it is about another user", nil)
		default:
			m := userMember(u)
			c = cachedUser{Version: m.Version, Member: &m}
		}
		putUser(ctx, id, c)
	}
	a := author{member: c.Member}
	if c.Member == nil {
		a.name = id
	}
	r.authors[id] = a
	return a, nil
}

func userKey(id string) string { return "user:" + id }

// getUser reads the cache. A cache that does not answer is an empty one.
func getUser(ctx context.Context, id string) (cachedUser, bool) {
	raw, ok, err := sdk.HostFrom(ctx).CacheGet(ctx, sdk.CacheIntegration, userKey(id))
	if err != nil || !ok {
		return cachedUser{}, false
	}
	var c cachedUser
	if err := json.Unmarshal(raw, &c); err != nil {
		return cachedUser{}, false
	}
	if c.Member != nil {
		c.Member.ID, c.Member.Version = id, c.Version
	}
	return c, true
}

// putUser fills the cache. What is not cached is looked up again.
func putUser(ctx context.Context, id string, c cachedUser) {
	raw, err := json.Marshal(c)
	if err != nil {
		return
	}
	_ = sdk.HostFrom(ctx).CachePut(ctx, sdk.CacheIntegration, userKey(id), raw, userTTL)
}
