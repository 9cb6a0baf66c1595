package api

import (
	"context"
	"errors"
	"fmt"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type memberStore interface {
	Members(ctx context.Context, f store.MemberFilter) ([]store.Member, error)
	MemberMerges(ctx context.Context, tenant string, member, after int64, n int) ([]store.MemberMerge, error)
	UndoMerge(ctx context.Context, tenant string, id int64) (store.MemberMerge, error)
	RebuildMembers(ctx context.Context, tenantID int64) error
}

type memberService struct {
	hostv1.UnimplementedMemberServiceServer
	*Server
}

// ListMembers returns a page of a tenant's members.
func (s *memberService) ListMembers(ctx context.Context, req *hostv1.ListMembersRequest) (*hostv1.ListMembersResponse, error) {
	if _, err := s.tenantID(ctx, req.GetTenant()); err != nil {
		return nil, err
	}
	if (req.GetPlatform() == "") != (req.GetUsername() == "") {
		return nil, invalid("name both, such as github:ann", "an account has a platform and a username")
	}
	after, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.Members(ctx, store.MemberFilter{
		Tenant: req.GetTenant(), Account: store.Account{Platform: req.GetPlatform(), Username: req.GetUsername()}, After: after, Limit: size + 1,
	})
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(m store.Member) int64 { return m.ID })
	out := &hostv1.ListMembersResponse{Next: next}
	for _, m := range list {
		out.Members = append(out.Members, member(req.GetTenant(), m))
	}
	return out, nil
}

// GetMember returns one with its sources.
func (s *memberService) GetMember(ctx context.Context, req *hostv1.GetMemberRequest) (*hostv1.GetMemberResponse, error) {
	id, err := parseID("member", req.GetId())
	if err != nil {
		return nil, err
	}
	list, err := s.deps.Store.Members(ctx, store.MemberFilter{Tenant: req.GetTenant(), ID: id, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound("member", req.GetTenant()+"/"+req.GetId(), "jackfield member list "+req.GetTenant()+"; one that was merged: jackfield member merges "+req.GetTenant())
	}
	return &hostv1.GetMemberResponse{Member: member(req.GetTenant(), list[0])}, nil
}

// ListMemberMerges returns a page of a tenant's merges.
func (s *memberService) ListMemberMerges(ctx context.Context, req *hostv1.ListMemberMergesRequest) (*hostv1.ListMemberMergesResponse, error) {
	if _, err := s.tenantID(ctx, req.GetTenant()); err != nil {
		return nil, err
	}
	var of int64
	if req.GetMember() != "" {
		id, err := parseID("member", req.GetMember())
		if err != nil {
			return nil, err
		}
		of = id
	}
	after, err := parsePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	list, err := s.deps.Store.MemberMerges(ctx, req.GetTenant(), of, after, size+1)
	if err != nil {
		return nil, err
	}
	list, next := page(list, size, func(m store.MemberMerge) int64 { return m.ID })
	return &hostv1.ListMemberMergesResponse{Merges: convert(list, merge), Next: next}, nil
}

// UndoMemberMerge takes apart what a merge brought together.
func (s *memberService) UndoMemberMerge(ctx context.Context, req *hostv1.UndoMemberMergeRequest) (*hostv1.UndoMemberMergeResponse, error) {
	id, err := parseID("merge", req.GetId())
	if err != nil {
		return nil, err
	}
	m, err := s.deps.Store.UndoMerge(ctx, req.GetTenant(), id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, notFound("merge", req.GetTenant()+"/"+req.GetId(), "jackfield member merges "+req.GetTenant())
	case errors.Is(err, store.ErrConflict):
		return nil, &Error{Kind: KindConflict, Message: fmt.Sprintf("what merge %d brought is apart already", id), Hint: "jackfield member merges " + req.GetTenant()}
	case err != nil:
		return nil, err
	}
	return &hostv1.UndoMemberMergeResponse{Merge: merge(m)}, nil
}

// RebuildMembers has a tenant's members made anew.
func (s *memberService) RebuildMembers(ctx context.Context, req *hostv1.RebuildMembersRequest) (*hostv1.RebuildMembersResponse, error) {
	id, err := s.tenantID(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	return &hostv1.RebuildMembersResponse{}, s.deps.Store.RebuildMembers(ctx, id)
}

// tenantID returns the id of a tenant that there is.
func (s *Server) tenantID(ctx context.Context, name string) (int64, error) {
	list, err := s.deps.Store.Tenants(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range list {
		if t.Name == name {
			return t.ID, nil
		}
	}
	return 0, notFound("tenant", name, "jackfield tenant list")
}

func merge(m store.MemberMerge) *hostv1.MemberMerge {
	return &hostv1.MemberMerge{
		Id: idText(m.ID), Member: idText(m.Member), Merged: idText(m.Merged), Sources: convert(m.Sources, idText),
		Platform: m.Platform, Username: m.Username, At: timestamp(m.At), UndoneAt: timestamp(m.UndoneAt),
	}
}
