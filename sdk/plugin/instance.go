package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// instance is a handle of the process.
type instance struct {
	client *Client
	handle string // empty if it was only validated
}

var (
	_ sdk.Instance      = (*instance)(nil)
	_ sdk.Checker       = (*instance)(nil)
	_ sdk.Preprocessor  = (*instance)(nil)
	_ sdk.Attributer    = (*instance)(nil)
	_ sdk.Allower       = (*instance)(nil)
	_ sdk.Finisher      = (*instance)(nil)
	_ sdk.Postprocessor = (*instance)(nil)
	_ sdk.Invoker       = (*instance)(nil)
	_ sdk.Closer        = (*instance)(nil)
)

// begin starts a call. The caller runs end when it is over.
func (i *instance) begin(ctx context.Context) (context.Context, *pluginv1.Call, func(), error) {
	ctx, token, end, err := i.client.calls.begin(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	return ctx, callToProto(token, i.handle), end, nil
}

// GetStreams implements sdk.Instance.
func (i *instance) GetStreams(ctx context.Context, call sdk.PlanCall, out *sdk.Emitter) error {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	stream, err := i.client.rpc.GetStreams(ctx, &pluginv1.GetStreamsRequest{Call: token, Run: runToProto(call.Run), Checkpoint: call.Checkpoint})
	if err != nil {
		return errorOf(ctx, err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errorOf(ctx, err)
		}
		switch part := m.GetPart().(type) {
		case *pluginv1.GetStreamsResponse_Batch:
			err = forward(ctx, out, part.Batch)
		case *pluginv1.GetStreamsResponse_Checkpoint:
			err = out.Checkpoint(ctx, checkpointFromProto(part.Checkpoint))
		default:
			err = badAnswer("get streams: an empty message")
		}
		if err != nil {
			return err
		}
	}
}

// ProcessStream implements sdk.Instance.
func (i *instance) ProcessStream(ctx context.Context, call sdk.StreamCall, out *sdk.Emitter) (sdk.Outcome, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return sdk.Outcome{}, err
	}
	defer end()
	stream, err := i.client.rpc.ProcessStream(ctx, &pluginv1.ProcessStreamRequest{
		Call:       token,
		Run:        runToProto(call.Run),
		Stream:     streamToProto(call.Stream),
		Page:       call.Page,
		Checkpoint: call.Checkpoint,
		Cursor:     call.Cursor,
		Attempt:    toInt32(call.Attempt),
		PageSize:   toInt32(call.PageSize),
	})
	if err != nil {
		return sdk.Outcome{}, errorOf(ctx, err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return sdk.Outcome{}, errorOf(ctx, err)
		}
		switch part := m.GetPart().(type) {
		case *pluginv1.ProcessStreamResponse_Batch:
			err = forward(ctx, out, part.Batch)
		case *pluginv1.ProcessStreamResponse_Checkpoint:
			err = out.Checkpoint(ctx, checkpointFromProto(part.Checkpoint))
		case *pluginv1.ProcessStreamResponse_Outcome:
			outcome := outcomeFromProto(part.Outcome)
			return outcome, atEnd(ctx, stream.Recv)
		default:
			err = badAnswer("process stream: an empty message")
		}
		if err != nil {
			return sdk.Outcome{}, err
		}
	}
}

// atEnd reports what stands after the outcome if it is not the end.
func atEnd(ctx context.Context, recv func() (*pluginv1.ProcessStreamResponse, error)) error {
	_, err := recv()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return errorOf(ctx, err)
	default:
		return badAnswer("process stream: a message after the outcome")
	}
}

func forward(ctx context.Context, out *sdk.Emitter, p *pluginv1.Batch) error {
	b, err := batchFromProto(p)
	if err != nil {
		return err
	}
	return out.Send(ctx, b)
}

// Check implements sdk.Checker.
func (i *instance) Check(ctx context.Context) error {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	_, err = i.client.rpc.Check(ctx, &pluginv1.CheckRequest{Call: token})
	return errorOf(ctx, err)
}

// Preprocess implements sdk.Preprocessor.
func (i *instance) Preprocess(ctx context.Context, run sdk.Run) ([]byte, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	resp, err := i.client.rpc.Preprocess(ctx, &pluginv1.PreprocessRequest{Call: token, Run: runToProto(run)})
	return resp.GetData(), errorOf(ctx, err)
}

// CreateAttributes implements sdk.Attributer.
func (i *instance) CreateAttributes(ctx context.Context) ([]sdk.Attribute, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	resp, err := i.client.rpc.CreateAttributes(ctx, &pluginv1.CreateAttributesRequest{Call: token})
	return attributesFromProto(resp.GetAttributes()), errorOf(ctx, err)
}

// Allowed implements sdk.Allower.
func (i *instance) Allowed(ctx context.Context, call sdk.AllowedCall) (sdk.Verdict, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return sdk.Verdict{}, err
	}
	defer end()
	resp, err := i.client.rpc.Allowed(ctx, &pluginv1.AllowedRequest{
		Call: token, Run: runToProto(call.Run), Connector: call.Connector, Results: resultsToProto(call.Results),
	})
	return sdk.Verdict{Skip: resp.GetSkip(), Reason: resp.GetReason()}, errorOf(ctx, err)
}

// IsProcessingFinished implements sdk.Finisher.
func (i *instance) IsProcessingFinished(ctx context.Context, call sdk.FinishedCall) (bool, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	resp, err := i.client.rpc.IsProcessingFinished(ctx, &pluginv1.IsProcessingFinishedRequest{
		Call:                token,
		Run:                 runToProto(call.Run),
		Stream:              streamToProto(call.Stream),
		NextPage:            call.NextPage,
		LastRecord:          call.LastRecord,
		LastRecordTimestamp: timeToProto(call.LastRecordTimestamp),
	})
	return resp.GetFinished(), errorOf(ctx, err)
}

// Postprocess implements sdk.Postprocessor.
func (i *instance) Postprocess(ctx context.Context, run sdk.Run) (map[string][]byte, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	resp, err := i.client.rpc.Postprocess(ctx, &pluginv1.PostprocessRequest{Call: token, Run: runToProto(run)})
	if err != nil {
		return nil, errorOf(ctx, err)
	}
	for key, raw := range resp.GetSettings() {
		if !json.Valid(raw) {
			return nil, badAnswer(fmt.Sprintf("postprocess: setting %q is not JSON", key))
		}
	}
	return resp.GetSettings(), nil
}

// Invoke implements sdk.Invoker.
func (i *instance) Invoke(ctx context.Context, call sdk.HookCall) (sdk.HookResult, error) {
	ctx, token, end, err := i.begin(ctx)
	if err != nil {
		return sdk.HookResult{}, err
	}
	defer end()
	resp, err := i.client.rpc.Invoke(ctx, &pluginv1.InvokeRequest{Call: token, Name: call.Name, Payload: call.Payload})
	return sdk.HookResult{Payload: resp.GetPayload()}, errorOf(ctx, err)
}

// Close implements sdk.Closer. It waits 2 seconds at most.
func (i *instance) Close() error {
	if i.handle == "" {
		return nil
	}
	// Closer has no context: an instance is closed whatever ended its use.
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, err := i.client.rpc.Close(ctx, &pluginv1.CloseRequest{Handle: i.handle})
	return errorOf(ctx, err)
}
