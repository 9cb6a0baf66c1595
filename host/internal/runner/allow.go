package runner

import (
	"cmp"
	"context"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

// allowed asks the plugin whether a connector takes part in the run (O21). A version
// of the plugin that has no say in it any more lets it run.
func (c *call) allowed(ctx context.Context, run sdk.Run, in store.Stream, out *sink) (sdk.Outcome, error) {
	if !c.plugin.Manifest.Has(sdk.CanAllow) {
		return sdk.Outcome{}, nil
	}
	allower, ok := c.plugin.Instance.(sdk.Allower)
	if !ok {
		return sdk.Outcome{}, errMissing(sdk.CanAllow)
	}
	connector := string(in.Data)
	ask := sdk.AllowedCall{Run: run, Connector: connector}
	for _, r := range in.Results {
		ask.Results = append(ask.Results, sdk.ConnectorResult{
			Connector: r.Connector, Code: string(r.Code), Message: r.Message,
			Read: r.Stats.Read, Added: r.Stats.Added, Updated: r.Stats.Updated, Deleted: r.Stats.Deleted, Unchanged: r.Stats.Unchanged,
			Processed: r.Processed, Failed: r.Failed,
		})
	}
	verdict, err := allower.Allowed(ctx, ask)
	if err == nil && verdict.Skip {
		reason := cmp.Or(clean(c.r.opts.Redact(verdict.Reason), 1024), "the plugin gave no reason")
		out.veto = &store.Veto{Connector: connector, Reason: reason}
	}
	return sdk.Outcome{}, err
}
