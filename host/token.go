package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) tokenCommand() *cobra.Command {
	return group("token", "Say which programs may use the API",
		c.tokenCreateCommand(), c.tokenListCommand(), c.tokenRevokeCommand())
}

func (c *cli) tokenCreateCommand() *cobra.Command {
	req := &hostv1.CreateTokenRequest{}
	var expires string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token and show it once",
		Long: `Create makes a token for a program that uses the API. It is shown this once: the daemon keeps a
sum of it alone. With --tenant it opens only what is that tenant's.

The scopes: read, to see what there is; call, to tell of calls and to call endpoints; operate, to
start, stop and repeat work; admin, all of these, to delete, and to say who may do what.`,
		Args: exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Name = args[0]
			if expires != "never" {
				lasts, err := parseDays(expires)
				if err != nil {
					return usageError(fmt.Errorf("%s: --expires %q is neither a time such as 90d or 12h nor never", cmd.CommandPath(), expires), usageHint(cmd))
				}
				req.ExpiresAt = timestamppb.New(time.Now().Add(lasts))
			}
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTokenServiceClient(d).CreateToken(ctx, req)
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.fact("token", resp.GetSecret())
					t.fact("id", resp.GetToken().GetId())
					t.fact("scopes", strings.Join(resp.GetToken().GetScopes(), ", "))
					t.fact("tenant", orElse(resp.GetToken().GetTenant(), "all"))
					t.fact("expires", resp.GetToken().GetExpiresAt())
					t.line("Keep it now: it is not shown again.")
				})
			})
		},
	}
	cmd.Flags().StringSliceVar(&req.Scopes, "scope", []string{"read"}, "read, call, operate or admin; several with commas")
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "only what is this tenant's")
	cmd.Flags().StringVar(&expires, "expires", "90d", "after this time, such as 12h or 90d; or never")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.complete(completeTenants)) // the flag is there
	return cmd
}

// parseDays reads a time that may be in days.
func parseDays(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func (c *cli) tokenListCommand() *cobra.Command {
	req := &hostv1.ListTokensRequest{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List tokens, also those that are over, for 30 days",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTokenServiceClient(d).ListTokens(ctx, req)
				if err != nil {
					return err
				}
				return c.printList(resp, "tokens", func(t *table) {
					t.head("TOKEN", "NAME", "STATE", "SCOPES", "TENANT", "CREATED", "EXPIRES", "USED")
					for _, k := range resp.GetTokens() {
						t.row(k.GetId(), k.GetName(), k.GetState(), strings.Join(k.GetScopes(), ","), k.GetTenant(), k.GetCreatedAt(), k.GetExpiresAt(), k.GetUsedAt())
					}
					more(t, resp.GetNext())
				})
			})
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "only this tenant's")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.complete(completeTenants)) // the flag is there
	addPageFlags(cmd, &req.PageSize, &req.PageToken)
	return cmd
}

func (c *cli) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke TOKEN",
		Short: "End a token at once",
		Args:  exactArgs("TOKEN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTokenServiceClient(d).RevokeToken(ctx, &hostv1.RevokeTokenRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return c.print(resp, func(t *table) {
					t.line(fmt.Sprintf("%s (%s): %s", resp.GetToken().GetId(), resp.GetToken().GetName(), resp.GetToken().GetState()))
				})
			})
		},
	}
}
