package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) memberCommand() *cobra.Command {
	return group("member", "Show the people of a tenant across its integrations",
		c.memberListCommand(), c.memberShowCommand(), c.memberMergesCommand(), c.memberUnmergeCommand(), c.memberRebuildCommand())
}

func (c *cli) memberListCommand() *cobra.Command {
	req := &hostv1.ListMembersRequest{}
	account := ""
	cmd := &cobra.Command{
		Use:     "list TENANT",
		Aliases: []string{"ls"},
		Short:   "List members",
		Args:    exactArgs("TENANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Tenant = args[0]
			if account != "" {
				platform, username, ok := strings.Cut(account, ":")
				if !ok || platform == "" || username == "" {
					return usageError(fmt.Errorf("%s: --account %q is not PLATFORM:USERNAME", cmd.CommandPath(), account), usageHint(cmd))
				}
				req.Platform, req.Username = platform, username
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewMemberServiceClient(d).ListMembers(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "members", func(t *table) {
					t.head("MEMBER", "NAME", "ACCOUNTS", "SOURCES")
					for _, m := range resp.GetMembers() {
						t.row(memberName(m.GetTenant(), m.GetId()), m.GetDisplayName(), accountTexts(m.GetIdentities()), sourceTexts(m.GetSources()))
					}
					more(t, resp.GetNext())
				})
			})
		},
		ValidArgsFunction: c.complete(completeTenants),
	}
	cmd.Flags().StringVar(&account, "account", "", "only who has this account, such as github:ann")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func (c *cli) memberShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show TENANT/MEMBER",
		Short: "Show what the sources of a member say, together and each",
		Args:  exactArgs("TENANT/MEMBER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tenant, id, err := cutMember(cmd, args[0])
			if err != nil {
				return err
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewMemberServiceClient(d).GetMember(ctx, &hostv1.GetMemberRequest{Tenant: tenant, Id: id})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) { memberFacts(t, resp.GetMember()) })
			})
		},
	}
}

func memberFacts(t *table, m *hostv1.Member) {
	t.fact("member", memberName(m.GetTenant(), m.GetId()))
	t.fact("name", m.GetDisplayName())
	t.fact("accounts", accountTexts(m.GetIdentities()))
	t.fact("weak accounts", accountTexts(m.GetWeakIdentities()))
	t.fact("emails", strings.Join(m.GetEmails(), ", "))
	var organizations, reach []string
	for _, o := range m.GetOrganizations() {
		organizations = append(organizations, orElse(o.GetName(), o.GetWebsite()))
	}
	for _, platform := range sortedKeys(m.GetReach()) {
		reach = append(reach, fmt.Sprintf("%s %d", platform, m.GetReach()[platform]))
	}
	t.fact("organizations", strings.Join(organizations, ", "))
	t.fact("reach", strings.Join(reach, ", "))
	t.fact("joined", m.GetJoinedAt())
	t.fact("location", m.GetLocation())
	t.fact("bio", m.GetBio())
	if len(m.GetAttributes()) > 0 {
		t.section("Attributes")
		for _, a := range m.GetAttributes() {
			t.fact(a.GetName()+" ("+a.GetPlatform()+")", string(a.GetValue()))
		}
	}
	t.section("Sources")
	t.head("SOURCE", "INTEGRATION", "ID", "WHAT")
	for _, s := range m.GetSources() {
		t.row(s.GetId(), s.GetIntegration(), s.GetExternalId(), recordText(&hostv1.Record{Data: s.GetData()}, 80))
	}
}

func (c *cli) memberMergesCommand() *cobra.Command {
	req := &hostv1.ListMemberMergesRequest{}
	cmd := &cobra.Command{
		Use:   "merges TENANT",
		Short: "List which members became one, and by which account",
		Args:  exactArgs("TENANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Tenant = args[0]
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewMemberServiceClient(d).ListMemberMerges(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "merges", func(t *table) {
					t.head("MERGE", "MEMBER", "MERGED", "SOURCES", "ACCOUNT", "AT", "UNDONE")
					for _, m := range resp.GetMerges() {
						t.row(memberName(req.GetTenant(), m.GetId()), m.GetMember(), m.GetMerged(), strings.Join(m.GetSources(), ", "),
							m.GetPlatform()+":"+m.GetUsername(), m.GetAt(), m.GetUndoneAt())
					}
					more(t, resp.GetNext())
				})
			})
		},
		ValidArgsFunction: c.complete(completeTenants),
	}
	cmd.Flags().StringVarP(&req.Member, "member", "m", "", "only those of this member")
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func (c *cli) memberUnmergeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unmerge TENANT/MERGE",
		Short: "Take apart what a merge brought together, for good",
		Args:  exactArgs("TENANT/MERGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tenant, id, err := cutMember(cmd, args[0])
			if err != nil {
				return err
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewMemberServiceClient(d).UndoMemberMerge(ctx, &hostv1.UndoMemberMergeRequest{Tenant: tenant, Id: id})
				if err != nil {
					return err
				}
				c.tell("merge %s is undone; the members follow within seconds", args[0])
				return c.print(resp, func(t *table) {
					t.fact("member", memberName(tenant, resp.GetMerge().GetMember()))
					t.fact("sources taken out", strings.Join(resp.GetMerge().GetSources(), ", "))
				})
			})
		},
	}
}

func (c *cli) memberRebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild TENANT",
		Short: "Make the members anew of the records; what was taken apart stays so",
		Args:  exactArgs("TENANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				_, err := hostv1.NewMemberServiceClient(d).RebuildMembers(ctx, &hostv1.RebuildMembersRequest{Tenant: args[0]})
				if err == nil {
					c.tell("the members of %s are made anew; until that is done some are missing", args[0])
				}
				return err
			})
		},
		ValidArgsFunction: c.complete(completeTenants),
	}
}

func memberName(tenant, id string) string { return tenant + "/" + id }

func cutMember(cmd *cobra.Command, name string) (tenant, id string, err error) {
	tenant, id, ok := strings.Cut(name, "/")
	if !ok || tenant == "" || id == "" {
		return "", "", usageError(fmt.Errorf("%s: %q is not TENANT/ID", cmd.CommandPath(), name), usageHint(cmd))
	}
	return tenant, id, nil
}

func accountTexts(list []*hostv1.MemberIdentity) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.GetPlatform() + ":" + a.GetUsername()
	}
	return strings.Join(texts, ", ")
}

func sourceTexts(list []*hostv1.MemberSource) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = s.GetIntegration() + " " + s.GetExternalId()
	}
	return strings.Join(texts, ", ")
}
