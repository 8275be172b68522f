"""What runs say together: settings compared with a baseline, as a verdict, tables, figures and one page."""
