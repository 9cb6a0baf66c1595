package main

import (
	"context"
	"slices"

	"github.com/slack-go/slack"

	"github.com/jackfield/jackfield/sdk"
)

// membersStream is the id of the stream of the members.
const membersStream = "members"

// streamRef is the data of a stream.
type streamRef struct {
	Channel string `json:"channel"`
	Name    string `json:"name,omitempty"`
	General bool   `json:"general,omitempty"` // the channel that every member of the workspace is in
	Thread  string `json:"thread,omitempty"`  // timestamp of the message that the thread answers
}

// planMark is the checkpoint of a plan.
type planMark struct {
	Cursor   string   `json:"c"`           // of the page of channels to go on with
	Found    []string `json:"f,omitempty"` // channels of the settings that were met
	Restarts int      `json:"r,omitempty"`
}

// GetStreams plans the members and one stream per channel. The list of channels
// may be long, so each of its pages ends in a checkpoint.
func (i *instance) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	w, err := i.workspace(ctx, call.Run)
	if err != nil {
		return err
	}
	if len(call.Checkpoint) == 0 && wantsMembers(call.Run) {
		s := sdk.Stream{ID: membersStream, Connector: connectorMembers, LimitKey: w.limitKey(methodUsersList)}
		if err := out.Stream(ctx, s); err != nil {
			return err
		}
	}
	if !slices.Contains(call.Run.Connectors, connectorChannels) {
		return nil
	}
	p := &planner{instance: i, workspace: w, out: out}
	if err := readState("checkpoint of the plan", call.Checkpoint, &p.mark); err != nil {
		return err
	}
	return p.run(ctx)
}

// wantsMembers reports whether the whole list of members is read: at onboarding,
// by hand, and once after the connector was enabled. In between, members come
// with what they write.
func wantsMembers(run sdk.Run) bool {
	if !slices.Contains(run.Connectors, connectorMembers) {
		return false
	}
	_, before := run.Watermarks[connectorMembers]
	return run.Onboarding || run.Kind == sdk.RunManual || !before
}

// planner makes the streams of the channels.
type planner struct {
	*instance
	workspace workspace
	out       *sdk.Emitter
	mark      planMark
	left      int // public channels that the bot is no member of
}

func (p *planner) run(ctx context.Context) error {
	for {
		channels, next, err := p.page(ctx)
		if err != nil {
			return err
		}
		for n := range channels {
			if err := p.channel(ctx, &channels[n]); err != nil {
				return p.stop(ctx, err)
			}
		}
		if next == p.mark.Cursor && next != "" {
			return badAnswer(methodChannels, "its next page is this page", nil)
		}
		p.mark.Cursor = next
		if next == "" || p.foundAll() {
			return p.finish(ctx)
		}
		if err := p.checkpoint(ctx); err != nil {
			return err
		}
	}
}

// page reads one page of channels. It may be empty though others follow, because
// Slack leaves archived channels out after it has cut the pages.
func (p *planner) page(ctx context.Context) ([]slack.Channel, string, error) {
	types := []string{"public_channel"}
	if p.settings.IncludePrivate {
		types = append(types, "private_channel")
	}
	list := func() ([]slack.Channel, string, error) {
		channels, next, err := p.api.GetConversationsContext(ctx, &slack.GetConversationsParameters{
			Cursor: p.mark.Cursor, Limit: pageSize, ExcludeArchived: true, Types: types,
		})
		return channels, next, fault(methodChannels, err)
	}
	channels, next, err := list()
	if is(err, "invalid_cursor") && p.mark.Cursor != "" && p.mark.Restarts < maxRestarts {
		p.mark.Cursor = "" // what is planned already is ignored by the host
		p.mark.Restarts++
		channels, next, err = list()
	}
	return channels, next, err
}

// channel plans c if it is to be read.
func (p *planner) channel(ctx context.Context, c *slack.Channel) error {
	named := p.named(c)
	if c.ID == "" || (len(p.settings.Channels) > 0 && len(named) == 0) {
		return nil
	}
	if !c.IsMember && p.settings.Join && !c.IsPrivate {
		if err := p.join(ctx, c); err != nil {
			return err
		}
	}
	p.mark.Found = append(p.mark.Found, named...)
	// A channel that is named is tried: a user's token can read public channels
	// without being a member, and otherwise its stream says what to do.
	if !c.IsMember && len(named) == 0 {
		p.left++
		return nil
	}
	data, err := writeState(streamRef{Channel: c.ID, Name: c.Name, General: c.IsGeneral})
	if err != nil {
		return err
	}
	return p.out.Stream(ctx, sdk.Stream{
		ID:        "channel:" + c.ID,
		Connector: connectorChannels,
		Data:      data,
		Partition: c.ID,
		LimitKey:  p.workspace.limitKey(methodHistory),
	})
}

// join makes the bot a member of c. That Slack does not let it is a warning.
func (p *planner) join(ctx context.Context, c *slack.Channel) error {
	_, _, _, err := p.api.JoinConversationContext(ctx, c.ID)
	err = fault(methodJoin, err)
	if err == nil {
		c.IsMember = true
		return nil
	}
	if e := sdk.AsError(err); e.Class == sdk.ClassRemote && e.Safe {
		return p.out.Warn(ctx, "", "channel "+c.Name+" cannot be joined: "+e.Code)
	}
	return err
}

// stop keeps what was planned of a page before err ended it.
func (p *planner) stop(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if cerr := p.checkpoint(ctx); cerr != nil {
		return cerr
	}
	return err
}

func (p *planner) checkpoint(ctx context.Context) error {
	data, err := writeState(p.mark)
	if err != nil {
		return err
	}
	return p.out.Checkpoint(ctx, sdk.Checkpoint{Data: data})
}

// named returns the settings' names of c that were not met yet.
func (p *planner) named(c *slack.Channel) []string {
	var keys []string
	for _, name := range p.settings.Channels {
		key := channelKey(name)
		if (key == channelKey(c.ID) || key == channelKey(c.Name)) && !slices.Contains(p.mark.Found, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (p *planner) foundAll() bool {
	return len(p.settings.Channels) > 0 && len(p.missing()) == 0
}

// missing returns the settings' channels that were not met.
func (p *planner) missing() []string {
	return slices.DeleteFunc(slices.Clone(p.settings.Channels), func(name string) bool {
		return slices.Contains(p.mark.Found, channelKey(name))
	})
}

// finish tells what the settings name and Slack does not show.
func (p *planner) finish(ctx context.Context) error {
	for _, name := range p.missing() {
		message := "channel " + name + " was not found: it is archived, private or misspelt (hint: include_private reads private channels that the bot is a member of)"
		if err := p.out.Warn(ctx, "", message); err != nil {
			return err
		}
	}
	if p.left > 0 {
		sdk.HostFrom(ctx).Log(sdk.LogInfo, "public channels are not read: the bot is no member (hint: /invite it, or set join: true)", "channels", p.left)
	}
	return nil
}
