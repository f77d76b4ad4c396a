"""The Streamlit dashboard; it talks to a tunekit service and never opens a database."""
