"""The gallery: charts become a static site."""
