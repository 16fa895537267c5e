"""What the wallet may spend: a policy that only its owner changes, and a durable account of what left."""
