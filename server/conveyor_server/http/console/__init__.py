"""The console: a page that shows the models, tries them on a picture or a drawing, and shows the last minute's load."""
