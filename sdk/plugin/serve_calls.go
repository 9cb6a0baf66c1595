package plugin

import (
	"cmp"
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// Check implements the rpc.
func (s *server) Check(ctx context.Context, req *pluginv1.CheckRequest) (*pluginv1.CheckResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	checker, ok := i.(sdk.Checker)
	if !ok {
		return nil, notSupported(ctx, sdk.CanCheck)
	}
	return &pluginv1.CheckResponse{}, statusOf(ctx, checker.Check(ctx))
}

// Preprocess implements the rpc.
func (s *server) Preprocess(ctx context.Context, req *pluginv1.PreprocessRequest) (*pluginv1.PreprocessResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	preprocessor, ok := i.(sdk.Preprocessor)
	if !ok {
		return nil, notSupported(ctx, sdk.CanPreprocess)
	}
	data, err := preprocessor.Preprocess(ctx, runFromProto(req.GetRun()))
	return &pluginv1.PreprocessResponse{Data: data}, statusOf(ctx, err)
}

// CreateAttributes implements the rpc.
func (s *server) CreateAttributes(ctx context.Context, req *pluginv1.CreateAttributesRequest) (*pluginv1.CreateAttributesResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	attributer, ok := i.(sdk.Attributer)
	if !ok {
		return nil, notSupported(ctx, sdk.CanCreateAttributes)
	}
	attributes, err := attributer.CreateAttributes(ctx)
	return &pluginv1.CreateAttributesResponse{Attributes: attributesToProto(attributes)}, statusOf(ctx, err)
}

// GetStreams implements the rpc.
func (s *server) GetStreams(req *pluginv1.GetStreamsRequest, stream grpc.ServerStreamingServer[pluginv1.GetStreamsResponse]) error {
	ctx, i, end, err := s.begin(stream.Context(), req.GetCall())
	if err != nil {
		return err
	}
	defer end()
	out := sdk.NewEmitter(planSink{stream})
	err = i.GetStreams(ctx, sdk.PlanCall{Run: runFromProto(req.GetRun()), Checkpoint: req.GetCheckpoint()}, out)
	if err == nil {
		err = out.Flush(ctx)
	}
	return statusOf(ctx, err)
}

// ProcessStream implements the rpc.
func (s *server) ProcessStream(req *pluginv1.ProcessStreamRequest, stream grpc.ServerStreamingServer[pluginv1.ProcessStreamResponse]) error {
	ctx, i, end, err := s.begin(stream.Context(), req.GetCall())
	if err != nil {
		return err
	}
	defer end()
	out := sdk.NewEmitter(streamSink{stream})
	outcome, err := i.ProcessStream(ctx, sdk.StreamCall{
		Run:        runFromProto(req.GetRun()),
		Stream:     streamFromProto(req.GetStream()),
		Page:       req.GetPage(),
		Checkpoint: req.GetCheckpoint(),
		Cursor:     req.GetCursor(),
		Attempt:    int(req.GetAttempt()),
		PageSize:   int(req.GetPageSize()),
	}, out)
	if err == nil {
		err = out.Flush(ctx)
	}
	if err != nil {
		return statusOf(ctx, err)
	}
	return stream.Send(&pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Outcome{Outcome: outcomeToProto(outcome)}})
}

// Allowed implements the rpc.
func (s *server) Allowed(ctx context.Context, req *pluginv1.AllowedRequest) (*pluginv1.AllowedResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	allower, ok := i.(sdk.Allower)
	if !ok {
		return nil, notSupported(ctx, sdk.CanAllow)
	}
	verdict, err := allower.Allowed(ctx, sdk.AllowedCall{
		Run: runFromProto(req.GetRun()), Connector: req.GetConnector(), Results: resultsFromProto(req.GetResults()),
	})
	return &pluginv1.AllowedResponse{Skip: verdict.Skip, Reason: verdict.Reason}, statusOf(ctx, err)
}

// IsProcessingFinished implements the rpc.
func (s *server) IsProcessingFinished(ctx context.Context, req *pluginv1.IsProcessingFinishedRequest) (*pluginv1.IsProcessingFinishedResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	finisher, ok := i.(sdk.Finisher)
	if !ok {
		return nil, notSupported(ctx, sdk.CanFinish)
	}
	finished, err := finisher.IsProcessingFinished(ctx, sdk.FinishedCall{
		Run:                 runFromProto(req.GetRun()),
		Stream:              streamFromProto(req.GetStream()),
		NextPage:            req.GetNextPage(),
		LastRecord:          req.GetLastRecord(),
		LastRecordTimestamp: timeFromProto(req.GetLastRecordTimestamp()),
	})
	return &pluginv1.IsProcessingFinishedResponse{Finished: finished}, statusOf(ctx, err)
}

// Postprocess implements the rpc.
func (s *server) Postprocess(ctx context.Context, req *pluginv1.PostprocessRequest) (*pluginv1.PostprocessResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	postprocessor, ok := i.(sdk.Postprocessor)
	if !ok {
		return nil, notSupported(ctx, sdk.CanPostprocess)
	}
	settings, err := postprocessor.Postprocess(ctx, runFromProto(req.GetRun()))
	return &pluginv1.PostprocessResponse{Settings: settings}, statusOf(ctx, err)
}

// Invoke implements the rpc.
func (s *server) Invoke(ctx context.Context, req *pluginv1.InvokeRequest) (*pluginv1.InvokeResponse, error) {
	ctx, i, end, err := s.begin(ctx, req.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	invoker, ok := i.(sdk.Invoker)
	if !ok {
		return nil, notSupported(ctx, sdk.CanInvoke)
	}
	result, err := invoker.Invoke(ctx, sdk.HookCall{Name: req.GetName(), Payload: req.GetPayload()})
	return &pluginv1.InvokeResponse{Payload: result.Payload}, statusOf(ctx, err)
}

func notSupported(ctx context.Context, c sdk.Capability) error {
	return statusOf(ctx, &sdk.Error{Class: sdk.ClassSystem, Code: codeNotSupported, Message: fmt.Sprintf("the plugin has no capability %q", c)})
}

// planSink sends what GetStreams emits.
type planSink struct {
	stream grpc.ServerStreamingServer[pluginv1.GetStreamsResponse]
}

// Send implements sdk.Sink.
func (s planSink) Send(ctx context.Context, b sdk.Batch) error {
	p, err := batchToProto(b)
	if err != nil {
		return err
	}
	return sent(ctx, s.stream.Send, &pluginv1.GetStreamsResponse{Part: &pluginv1.GetStreamsResponse_Batch{Batch: p}})
}

// Checkpoint implements sdk.Sink.
func (s planSink) Checkpoint(ctx context.Context, c sdk.Checkpoint) error {
	return sent(ctx, s.stream.Send, &pluginv1.GetStreamsResponse{Part: &pluginv1.GetStreamsResponse_Checkpoint{Checkpoint: checkpointToProto(c)}})
}

// streamSink sends what ProcessStream emits.
type streamSink struct {
	stream grpc.ServerStreamingServer[pluginv1.ProcessStreamResponse]
}

// Send implements sdk.Sink.
func (s streamSink) Send(ctx context.Context, b sdk.Batch) error {
	p, err := batchToProto(b)
	if err != nil {
		return err
	}
	return sent(ctx, s.stream.Send, &pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Batch{Batch: p}})
}

// Checkpoint implements sdk.Sink.
func (s streamSink) Checkpoint(ctx context.Context, c sdk.Checkpoint) error {
	return sent(ctx, s.stream.Send, &pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Checkpoint{Checkpoint: checkpointToProto(c)}})
}

// sent sends m, unless the call was cancelled or m is larger than the wire takes.
func sent[M proto.Message](ctx context.Context, send func(M) error, m M) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if size := proto.Size(m); size > sdk.MaxMessage {
		return &sdk.Error{Class: sdk.ClassSystem, Code: codeTooLarge, Message: fmt.Sprintf("a message has %d bytes, %d are allowed", size, sdk.MaxMessage)}
	}
	err := send(m)
	if code := status.Code(err); code == codes.Canceled || code == codes.DeadlineExceeded {
		return cmp.Or(ctx.Err(), context.Canceled) // the call has ended; authors know that by these errors
	}
	return err
}
