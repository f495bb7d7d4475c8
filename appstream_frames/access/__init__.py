"""Whose images, and where: accounts × regions, the credentials for them, and the clients that speak to AWS."""
