"""Who and where: targets (accounts × regions), the credentials for them, and clients with a deadline.

In: profiles, roles, an organization, a boto3 session or client. Out: a client for each target and the account it reads, or an
error that says what AWS answered.
"""
