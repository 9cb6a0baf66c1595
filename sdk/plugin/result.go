package plugin

import (
	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

func resultsToProto(results []sdk.ConnectorResult) []*pluginv1.ConnectorResult {
	var out []*pluginv1.ConnectorResult
	for _, r := range results {
		out = append(out, &pluginv1.ConnectorResult{
			Connector: r.Connector, Code: r.Code, Message: r.Message,
			Read: r.Read, Added: r.Added, Updated: r.Updated, Deleted: r.Deleted, Unchanged: r.Unchanged,
			Processed: r.Processed, Failed: r.Failed,
		})
	}
	return out
}

func resultsFromProto(results []*pluginv1.ConnectorResult) []sdk.ConnectorResult {
	var out []sdk.ConnectorResult
	for _, r := range results {
		out = append(out, sdk.ConnectorResult{
			Connector: r.GetConnector(), Code: r.GetCode(), Message: r.GetMessage(),
			Read: r.GetRead(), Added: r.GetAdded(), Updated: r.GetUpdated(), Deleted: r.GetDeleted(), Unchanged: r.GetUnchanged(),
			Processed: r.GetProcessed(), Failed: r.GetFailed(),
		})
	}
	return out
}
