"""The chain the gateways host themselves: rules, consensus, storage and offline verification."""
