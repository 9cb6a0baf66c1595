package api

import (
	"context"
	"slices"

	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
	"github.com/jackfield/jackfield/store"
)

type tenantService struct {
	hostv1.UnimplementedTenantServiceServer
	*Server
}

// ListTenants returns the tenants.
func (s *tenantService) ListTenants(ctx context.Context, req *hostv1.ListTenantsRequest) (*hostv1.ListTenantsResponse, error) {
	list, err := s.deps.Store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	if name := req.GetName(); name != "" {
		list = slices.DeleteFunc(list, func(t store.Tenant) bool { return t.Name != name })
	}
	return &hostv1.ListTenantsResponse{Tenants: convert(list, tenant)}, nil
}

// GetTenant returns one with its integrations.
func (s *tenantService) GetTenant(ctx context.Context, req *hostv1.GetTenantRequest) (*hostv1.GetTenantResponse, error) {
	t, err := s.findTenant(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	integrations, err := s.deps.Store.Integrations(ctx, store.IntegrationFilter{Tenant: t.Name})
	if err != nil {
		return nil, err
	}
	return &hostv1.GetTenantResponse{Tenant: tenant(t), Integrations: convert(integrations, s.integration)}, nil
}

// DeleteTenant takes one away for good.
func (s *tenantService) DeleteTenant(ctx context.Context, req *hostv1.DeleteTenantRequest) (*hostv1.DeleteTenantResponse, error) {
	t, err := s.findTenant(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.deps.Store.DeleteTenant(ctx, t.Name); err != nil {
		return nil, err
	}
	return &hostv1.DeleteTenantResponse{Tenant: tenant(t)}, nil
}

func (s *tenantService) findTenant(ctx context.Context, name string) (store.Tenant, error) {
	list, err := s.deps.Store.Tenants(ctx)
	if err != nil {
		return store.Tenant{}, err
	}
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
	}
	return store.Tenant{}, notFound("tenant", name, "jackfield tenant list")
}

func tenant(t store.Tenant) *hostv1.Tenant {
	return &hostv1.Tenant{Name: t.Name, Integrations: count(t.Integrations), CreatedAt: timestamp(t.CreatedAt)}
}
