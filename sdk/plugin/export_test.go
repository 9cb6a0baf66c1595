package plugin

// Second returns another client of the connection of c, without a link.
func Second(c *Client) *Client { return &Client{rpc: c.rpc, health: c.health} }

// RouteDefault is what Serve does with http.DefaultTransport.
func RouteDefault() { routeDefault() }
