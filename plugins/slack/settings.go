package main

import (
	"cmp"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

const (
	defaultAPIURL     = "https://slack.com/api/"
	defaultThreadDays = 30
	maxThreadDays     = 365
)

// settings is what a tenant configures.
type settings struct {
	Token          sdk.Secret `json:"token" jsonschema:"title=Bot token" jsonschema_description:"The bot token of the Slack app (xoxb-...). Scopes: users:read, users:read.email, channels:read, channels:history, team:read."`
	Channels       []string   `json:"channels,omitempty" jsonschema:"title=Channels" jsonschema_description:"Names or ids of the channels to read. Empty: every channel that the bot is a member of."`
	IncludePrivate bool       `json:"include_private,omitempty" jsonschema:"title=Private channels" jsonschema_description:"Read private channels that the bot is a member of too. Scopes: groups:read, groups:history."`
	Join           bool       `json:"join,omitempty" jsonschema:"title=Join public channels" jsonschema_description:"Let the bot join the public channels that it is to read. Scope: channels:join."`
	ThreadDays     int        `json:"thread_days,omitempty" jsonschema:"title=Days of threads,minimum=1,maximum=365,default=30" jsonschema_description:"A reply is found if it is written within this many days of the message it answers."`
	APIURL         string     `json:"api_url,omitempty" jsonschema:"title=API address,format=uri,default=https://slack.com/api/" jsonschema_description:"The address of the Web API."`
}

// threadAge is how long after a message its replies are looked for.
func (s settings) threadAge() time.Duration { return time.Duration(s.ThreadDays) * 24 * time.Hour }

// readSettings reads and checks the settings and fills in what they leave open.
func readSettings(raw sdk.Settings) (settings, error) {
	var s settings
	if err := raw.Decode(&s); err != nil {
		return settings{}, err
	}
	token := s.Token.Reveal()
	switch {
	case token == "":
		return settings{}, badSetting("token is missing (hint: the bot token of the Slack app, under OAuth & Permissions)")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return settings{}, badSetting("token holds a character that no token has (hint: look for a space or a line break around it)")
	}
	for _, name := range s.Channels {
		if channelKey(name) == "" {
			return settings{}, badSetting("channels holds an empty name")
		}
	}
	s.ThreadDays = cmp.Or(s.ThreadDays, defaultThreadDays)
	if s.ThreadDays < 1 || s.ThreadDays > maxThreadDays {
		return settings{}, badSetting("thread_days is not between 1 and 365")
	}
	var err error
	s.APIURL, err = apiURL(cmp.Or(s.APIURL, defaultAPIURL))
	return s, err
}

// apiURL checks an address and ends it with a slash. Plain http is for this
// machine alone: elsewhere it would show the token to the network.
func apiURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", badSetting("api_url is no address (hint: " + defaultAPIURL + ")")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", badSetting("api_url has more than scheme, host and path")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", badSetting("api_url is not https (hint: http is allowed for this machine alone)")
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u.String(), nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// channelKey is how a channel's name or id is compared.
func channelKey(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimSpace(name), "#"))
}

func badSetting(message string) *sdk.Error {
	return &sdk.Error{Class: sdk.ClassConfig, Code: "bad_settings", Message: "settings: " + message, Safe: true}
}
